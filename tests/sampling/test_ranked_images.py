"""Images ranked without a mistake, the three cases of targets, and the unit of Pert."""

import pytest
import torch

from companion.sampling import ranked_images
from companion.sampling.choice import select
from flipbook.attacks import tkml
from flipbook.goals import TopKExcludes
from tests.affine import mid_grey, random_affine
from tests.sampling.test_choice import Marked, Reader, stack  # noqa: F401 - a fixture for all tests here


class Ranks(Reader):
    """Puts the true labels on top, but for every third image, where one other is above them."""

    def forward(self, images):
        i = (images[:, 0, 0, 0] * 100).round().long()
        bits = torch.stack([i % 2, i // 2 % 2, i // 4 % 2], 1).float()
        worst = bits.argmin(dim=1, keepdim=True)
        return torch.where((i % 3 == 0)[:, None], bits.scatter(1, worst, 2.0), bits)


def exact(i):
    """Whether image i has a label and no other one above it; nothing can be above all three labels."""
    return bool(i % 8) and (bool(i % 3) or i % 8 == 7)


def test_ranked_first_needs_every_true_label_strictly_above_every_other():
    present = torch.tensor([[1, 1, 0, 0]] * 4 + [[0, 0, 0, 0]]).bool()
    logits = torch.tensor([[3.0, 2, 1, 0], [-3, -2, -4, -5], [3, 1, 2, 0], [3, 1, 1, 0], [3, 2, 1, 0]])
    assert ranked_images.ranked_first(logits, present).tolist() == [True, True, False, False, False]


def test_only_images_without_a_mistake_are_drawn_and_the_others_are_counted():
    many, few = (ranked_images.select(Ranks(), Marked(), n, 2, seed=4) for n in (20, 7))
    assert few.chosen.indices == many.chosen.indices[:7]
    bits = many.present.sum(dim=1)
    assert all(i % 3 for i in many.chosen.indices)
    assert set(bits.tolist()) == {1}  # with two or three labels there are no two others
    # Of all images those with a label and without a mistake are exact; two or three labels leave too few others.
    everything = ranked_images.select(Ranks(), Marked(), 23, 2, seed=4)
    assert everything.looked_at == 90
    own = [i for i in range(90) if exact(i)]
    assert everything.exact == len(own)
    assert everything.left_out == sum(bin(i % 8).count("1") > 1 for i in own)
    assert len(ranked_images.select(Ranks(), Marked(), 20, 1, seed=4).chosen) == 20
    with pytest.raises(ValueError, match=r"images: 24 asked, marked \(test\) has 23 with all true labels on top and 2"):
        ranked_images.select(Ranks(), Marked(), 24, 2, seed=4)
    with pytest.raises(ValueError, match="images: 0, must be at least 1"):
        ranked_images.select(Ranks(), Marked(), 0, 2)


def test_the_order_is_that_of_all_protocols():
    order = select(Reader(), Marked(), 90, seed=3, require_correct=False).indices
    own = [i for i in order if exact(i) and i % 8 != 7]
    assert ranked_images.select(Ranks(), Marked(), 30, 1, seed=3).chosen.indices == own[:30]


def test_best_and_worst_targets_are_the_ends_of_the_ranking_without_the_true_labels():
    logits = torch.tensor([[5.0, 4, 3, 2, 1, 0]])
    present = torch.tensor([[1, 0, 0, 1, 0, 0]]).bool()
    assert ranked_images.targets(logits, present, 2, "best", [0]).nonzero()[:, 1].tolist() == [1, 2]
    assert ranked_images.targets(logits, present, 2, "worst", [0]).nonzero()[:, 1].tolist() == [4, 5]
    ties = torch.zeros(1, 6)
    for case in ("best", "worst"):
        assert ranked_images.targets(ties, present, 2, case, [0]).nonzero()[:, 1].tolist() == [1, 2]
    with pytest.raises(ValueError, match="image 7 has fewer than 5 labels that it lacks"):
        ranked_images.targets(logits, present, 5, "best", [7])
    with pytest.raises(ValueError, match="case"):
        ranked_images.targets(logits, present, 2, "middle", [0])


def test_random_targets_belong_to_the_image_and_avoid_its_labels():
    n, labels = 400, 8
    present = torch.zeros(n, labels, dtype=torch.bool)
    present[:, 2] = True
    logits = torch.randn(n, labels, generator=torch.Generator().manual_seed(0))
    indices = list(range(n))
    chosen = ranked_images.targets(logits, present, 3, "random", indices, seed=1)
    assert (chosen.sum(dim=1) == 3).all()
    assert not (chosen & present).any()
    alone = ranked_images.targets(logits[[50]], present[[50]], 3, "random", [50], seed=1)
    assert torch.equal(alone, chosen[[50]])
    assert not torch.equal(ranked_images.targets(logits, present, 3, "random", indices, seed=2), chosen)
    counts = chosen.sum(dim=0)[[0, 1, 3, 4, 5, 6, 7]].double()
    assert (counts / n - 3 / 7).abs().max() < 0.1  # uniform over the others, and not the same for all images


@pytest.mark.parametrize(
    ("side", "tau", "printed"),
    [(300, 2, 0.567), (300, 10, 2.833), (300, 100, 28.3), (224, 2, 1.016), (224, 10, 5.08), (448, 2, 0.254),
     (448, 10, 1.27), (300, 1.2, 0.340)],
)  # fmt: skip
def test_pert_of_a_filled_ball_is_what_the_tables_could_hold(side, tau, printed):
    assert ranked_images.pert(tau / 2, side, side) == pytest.approx(printed, rel=2e-3)


def test_settings_on_either_range_are_the_same_attack():
    """A plain gradient step a on [-1, 1] is a / 4 on [0, 1], a radius half: the same path."""
    model, images = random_affine(scale=40.0), mid_grey(3)
    goal = TopKExcludes(torch.eye(6)[:3], 2)
    ours = tkml(model, images, goal, learning_rate=0.01 / 4, radius=10 / 2, max_iterations=7, stop_on_success=False)
    wide, present = 2 * images - 1, goal.present
    z = torch.zeros_like(wide)
    best = [None] * 3
    for _ in range(8):
        x = (wide + z).requires_grad_()
        logits = model((x + 1) / 2)
        for i in (goal.reached(logits)).nonzero().flatten().tolist():
            if best[i] is None or z[i].norm() < best[i].norm():
                best[i] = z[i].clone()
        loss = logits.masked_fill(~present, -torch.inf).amax(1) - logits.topk(4, largest=False).values.mean(1)
        (g,) = torch.autograd.grad(loss.sum(), x)
        z = z - 0.01 * g
        z = z * (10 / z.flatten(1).norm(dim=1).clamp(min=10))[:, None, None, None]
        z = (wide + z).clamp(-1, 1) - wide
    for i in range(3):
        if best[i] is not None:
            assert torch.allclose(2 * (ours.images - images)[i], best[i], atol=1e-10)
    assert any(each is not None for each in best)
