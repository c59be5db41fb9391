import pytest
import torch
from torch import nn

from companion.sampling import choice


class Marked(torch.utils.data.Dataset):
    """Image i is constant i / 100 and has the label vector of i's lowest bits."""

    name, split = "marked", "test"

    def __len__(self):
        return 90

    def __getitem__(self, i):
        return torch.full((1, 2, 2), i / 100), torch.tensor([i % 2, i // 2 % 2, i // 4 % 2], dtype=torch.uint8)


class Reader(nn.Module):
    """Reads the label bits off the image, wrongly for every third image."""

    def forward(self, images):
        i = (images[:, 0, 0, 0] * 100).round().long()
        bits = torch.stack([i % 2, i // 2 % 2, i // 4 % 2], 1)
        return torch.where((i % 3 == 0)[:, None], 1 - bits, bits) * 2.0 - 1


@pytest.fixture(autouse=True)
def stack(monkeypatch):
    def together(dataset, indices):
        images, targets = zip(*(dataset[i] for i in indices), strict=True)
        return torch.stack(images), torch.stack(targets)

    monkeypatch.setattr(choice.datasets, "stack", together)


def test_only_correct_images_are_drawn_and_fewer_are_the_beginning_of_more():
    many = choice.select(Reader(), Marked(), 60, seed=4)
    few = choice.select(Reader(), Marked(), 7, seed=4)
    assert len(set(many.indices)) == 60
    assert all(i % 3 for i in many.indices)
    assert few.indices == many.indices[:7]
    assert torch.equal(few.predicted, few.targets)
    assert torch.equal(few.images[:, 0, 0, 0], torch.tensor(few.indices) / 100)
    assert choice.select(Reader(), Marked(), 7, seed=5).indices != few.indices
    assert many[[2, 0]].indices == [few.indices[2], few.indices[0]]
    assert torch.equal(many[[2, 0]].images, few.images[[2, 0]])


def test_wrong_images_are_drawn_where_asked_and_a_shortage_is_said():
    everything = choice.select(Reader(), Marked(), 90, require_correct=False)
    assert sorted(everything.indices) == list(range(90))
    with pytest.raises(ValueError, match=r"images: 61 asked, marked \(test\) has 60 correctly decided images"):
        choice.select(Reader(), Marked(), 61)
    with pytest.raises(ValueError, match="images: 0, must be at least 1"):
        choice.select(Reader(), Marked(), 0)


def test_classes_are_decided_by_argmax_or_codeword():
    logits = torch.tensor([[2.0, 1.0], [-1.0, 3.0]])
    assert choice.correct(logits, torch.tensor([0, 0])).tolist() == [True, False]
    codebook = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
    assert choice.correct(logits, torch.tensor([1, 0]), codebook).tolist() == [True, True]


def test_targets_do_not_depend_on_the_other_images():
    indices, own = [40, 3, 77, 12], torch.tensor([[0, 1, 0, 0]] * 4, dtype=torch.uint8)
    training = torch.eye(4, dtype=torch.uint8)
    some = slice(1, 3)
    for whole, part in [
        (choice.flip_bits(own, 2, indices), choice.flip_bits(own[some], 2, indices[some])),
        (
            choice.training_vectors(own, indices, training),
            choice.training_vectors(own[some], indices[some], training),
        ),
        (choice.other_class(own[:, 0], 9, indices), choice.other_class(own[some, 0], 9, indices[some])),
    ]:
        assert torch.equal(whole[some], part)


def test_flip_bits_flips_exactly_k_everywhere_alike():
    predicted = torch.randint(0, 2, (2000, 8), generator=torch.Generator().manual_seed(0))
    flipped = choice.flip_bits(predicted, 3, list(range(2000)))
    changed = flipped != predicted
    assert (changed.sum(1) == 3).all()
    assert ((changed.float().mean(0) - 3 / 8).abs() < 0.05).all()
    assert torch.equal(choice.flip_bits(predicted[:5], 8, list(range(5))), 1 - predicted[:5])
    with pytest.raises(ValueError, match=r"k: 9 labels to flip, must be in 1\.\.8"):
        choice.flip_bits(predicted, 9, list(range(2000)))


def test_training_vectors_differ_from_the_own_and_keep_frequencies():
    own = torch.tensor([[1, 0]] * 3000)
    training = torch.tensor([[1, 0]] * 50 + [[0, 1]] * 40 + [[1, 1]] * 10)
    drawn = choice.training_vectors(own, list(range(3000)), training)
    assert (drawn != own).any(1).all()
    assert (drawn == torch.tensor([0, 1])).all(1).float().mean().item() == pytest.approx(0.8, abs=0.03)
    with pytest.raises(ValueError, match="training: every label vector equals"):
        choice.training_vectors(own[:1], [0], training[:50])


def test_other_class_is_uniform_over_the_others():
    own = torch.full((3000,), 2)
    drawn = choice.other_class(own, 5, list(range(3000)))
    counts = torch.bincount(drawn, minlength=5)
    assert counts[2] == 0
    assert ((counts[[0, 1, 3, 4]] / 3000 - 0.25).abs() < 0.04).all()
    with pytest.raises(ValueError, match="classes: 1, must be at least 2"):
        choice.other_class(own, 1, list(range(3000)))


def test_other_classes_are_all_or_some_of_the_others():
    own = torch.tensor([0, 3, 9])
    every = choice.other_classes(own, 10, 9, [5, 6, 7])
    assert [row.tolist() for row in every] == [[c for c in range(10) if c != k] for k in own.tolist()]
    some = choice.other_classes(own, 100, 4, [5, 6, 7], seed=2)
    assert all(len(set(row.tolist()) - {k}) == 4 for row, k in zip(some, own.tolist(), strict=True))
    assert torch.equal(some[1:2], choice.other_classes(own[1:2], 100, 4, [6], seed=2))  # keyed by the image
    many = choice.other_classes(torch.full((400,), 3), 10, 2, list(range(400)))
    assert sorted(many.unique().tolist()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    for count in (0, 10):
        with pytest.raises(ValueError, match=r"must be in 1\.\.9 with 10 classes"):
            choice.other_classes(own, 10, count, [5, 6, 7])


def test_pairs_repeat_an_image_for_each_target_and_refuse_its_own_class():
    chosen = choice.Selection([8, 4], torch.arange(2.0).view(2, 1, 1, 1), torch.tensor([1, 0]), torch.zeros(2, 3))
    repeated, goal = choice.pairs(chosen, torch.tensor([[0, 2], [1, 2]]))
    assert repeated.indices == [8, 8, 4, 4]
    assert repeated.images.flatten().tolist() == [0, 0, 1, 1]
    assert goal.target.tolist() == [0, 2, 1, 2]
    with pytest.raises(ValueError, match="image 4 is to become its own class, 0; choose another"):
        choice.pairs(chosen, torch.tensor([[0, 2], [1, 0]]))


def test_all_off_and_lengths():
    assert choice.all_off(torch.ones(2, 3)).sum() == 0
    with pytest.raises(ValueError, match="indices: 2 entries, must be one for each of the 3 images"):
        choice.flip_bits(torch.zeros(3, 4), 1, [5, 6])
