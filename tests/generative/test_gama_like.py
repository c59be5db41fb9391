"""GAMA-like: its loss by hand, its embeddings, that training lowers it, and what it refuses."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from flipbook.generative import train_gama
from flipbook.generative.gama_like import drawn_pairs, image_embeddings, pair_embeddings, terms
from flipbook.generative.training import features
from tests.affine import SmallNet
from tests.generative.small import LAYER, images, labels, short, victim


def test_the_three_terms_by_hand():
    """Maps of one position: features are the maps themselves, and attention is 1."""
    clean, attacked = (torch.tensor(v).view(1, 2, 1, 1) for v in ([3.0, 4.0], [2.0, 0.0]))
    t, e = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    contrastive, away, alike = terms(clean, attacked, t, e)
    assert float(contrastive) == pytest.approx(2.0 - (0.4**2 + 0.8**2) + 0.2)  # z' = (1, 0), z = (0.6, 0.8)
    assert float(away) == 0
    assert float(alike) == pytest.approx(0.6)
    contrastive, away, _ = terms(clean, attacked, e, t)  # text where the attacked image is, embedding elsewhere
    assert float(contrastive) == 0
    assert float(away) == -1


def test_attention_weighs_positions_by_the_clean_maps_energy():
    """Two positions of energies 1 and 9 count 0.1 and 0.9 times."""
    clean, attacked = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, -1.0]])
    alike = terms(clean.view(1, 1, 1, 2), attacked.view(1, 1, 1, 2), *torch.ones(2, 1, 1))[2]
    w = torch.tensor([[0.1, 0.9]])
    torch.testing.assert_close(alike, cosine_similarity(w * attacked, w * clean))


def test_embeddings_belong_to_pairs():
    pairs = pair_embeddings(5, 7, 0)
    torch.testing.assert_close(pairs.norm(dim=2), torch.ones(5, 5).double())
    assert torch.equal(pairs, pairs.transpose(0, 1))
    assert len(pairs.flatten(0, 1).unique(dim=0)) == 15
    assert torch.equal(pair_embeddings(9, 7, 0)[:5, :5], pairs)  # whatever other labels there are
    assert not torch.equal(pair_embeddings(5, 7, 1), pairs)
    own = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 1, 0]]).bool()
    e = image_embeddings(own, pairs)
    torch.testing.assert_close(e[0], pairs[0, 0])
    torch.testing.assert_close(e[1], pairs[0, 1])
    three = pairs[0, 1] + pairs[0, 3] + pairs[1, 3]
    torch.testing.assert_close(e[2], three / three.norm())


def test_pairs_are_drawn_among_an_images_labels():
    own = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [1, 1, 0, 1]]).bool()
    drawn = torch.stack([drawn_pairs(own, torch.rand(3, 4)) for _ in range(60)])
    assert (drawn[:, 0] == 0).all()
    assert {tuple(sorted(pair)) for pair in drawn[:, 1].tolist()} == {(1, 2)}
    assert {tuple(sorted(pair)) for pair in drawn[:, 2].tolist()} == {(0, 1), (0, 3), (1, 3)}


def test_training_moves_features_and_repeats():
    """The same to the last bit whatever the global generator; another seed gives another generator."""
    model, x, y = victim(), images(), labels()
    little, much = train_gama(model, x, y, short(epochs=1)), train_gama(model, x, y, short(epochs=12))
    state = torch.get_rng_state()
    again, other = train_gama(model, x, y, short(epochs=12)), train_gama(model, x, y, short(epochs=12, seed=1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(again.perturb(x), much.perturb(x))
    assert again.record == much.record
    assert not torch.equal(other.perturb(x), much.perturb(x))
    assert alike(model, x, much) < alike(model, x, little)
    assert not much.network.training
    assert (much.perturb(x) - x).abs().max() <= 10 / 255


def alike(model, x, trained):
    with features(model, LAYER) as seen, torch.no_grad():
        model(x)
        clean = seen.pop()
        model(trained.perturb(x))
        return cosine_similarity(seen.pop().flatten(1), clean.flatten(1)).mean()


def test_passes_and_settings_are_recorded():
    record = train_gama(victim(), images(), labels(), short(epochs=3)).record
    assert (record["forwards"], record["backwards"]) == (2 * 3 * 24, 3 * 24)
    assert (record["images"], record["epochs"], record["layer"]) == (24, 3, LAYER)


def test_the_victim_is_left_as_it_was():
    model = victim().requires_grad_()
    with torch.no_grad():
        train_gama(model, images(), labels(), short())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": labels(23)}, "labels speak of 23 images, the batch has 24"),
        ({"labels": labels() & (torch.arange(24) != 3)[:, None]}, "image 3 has no label"),
        ({"labels": labels().float() + 1}, "labels has entries other than 0 and 1"),
        ({"layer": "boddy.1"}, r"layer is 'boddy\.1', which the model does not have: choose .*body"),
        ({"layer": "head"}, r"layer 'head' gives \(1, 6\) for one image"),
        ({"images": images() * 255}, "images lie in"),
    ],
)
def test_refusals(changed, message):
    given = {"images": images(), "labels": labels(), "layer": LAYER} | changed
    with pytest.raises(ValueError, match=message) as caught:
        train_gama(victim(), given["images"], given["labels"], short(layer=given["layer"]))
    assert "\n" not in str(caught.value)


def test_settings_out_of_range_and_too_few_images():
    for name in ("epsilon", "epochs", "batch", "rate", "width", "blocks"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            short(**{name: 0})
    for name in ("epochs", "batch", "width", "blocks"):
        with pytest.raises(ValueError, match=rf"{name} is 2\.5: it must be a whole number, 1 or above"):
            short(**{name: 2.5})
    with pytest.raises(ValueError, match="images are 1: batch norm needs at least 2"):
        train_gama(victim(), images(1), labels(1), short())
    with pytest.raises(ValueError, match=r"layer 'body\.1' runs 2 times a pass"):
        train_gama(SmallNet().float(), images(), labels(), short())
    with pytest.raises(ValueError, match="training mode"):
        train_gama(victim().train(), images(), labels(), short())
