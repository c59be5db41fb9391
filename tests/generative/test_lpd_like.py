"""LPD-like: its loss by hand, the positions that it draws, and that training does what it is for."""

import math

import pytest
import torch

from flipbook.generative import train_lpd
from flipbook.generative.lpd_like import drawn_positions, terms
from flipbook.generative.training import features
from tests.generative.small import LAYER, images, short, victim


def test_the_two_terms_by_hand():
    """Clean patches point along the axes; the attacked one at 0 is half way to where the clean one at 1 is."""
    clean = torch.tensor([[2.0, 0.0], [0.0, 3.0]]).view(1, 2, 1, 2)
    attacked = torch.tensor([[0.6, 0.0], [0.8, 1.0]]).view(1, 2, 1, 2)
    contrastive, alike = terms(clean, attacked, torch.tensor([[0]]), torch.tensor([[1]]))
    p, n = math.exp(0.8 / 0.07), math.exp(0.6 / 0.07)
    assert float(contrastive) == pytest.approx(-math.log(p / (p + n)), rel=1e-4)
    assert float(alike) == pytest.approx((2 * 0.6 + 3) / math.sqrt(13 * 2), rel=1e-5)
    both, _ = terms(clean, attacked, torch.tensor([[0, 1]]), torch.tensor([[1, 0]]))
    assert float(both) == pytest.approx((float(contrastive) + math.log1p(math.exp(1 / 0.07))) / 2, rel=1e-4)


def test_positions_are_uniform_and_never_their_own_partner():
    here, there = drawn_positions(torch.rand(200, 64, generator=torch.Generator().manual_seed(0)), 5)
    assert here.shape == there.shape == (200, 32)
    assert (here != there).all()
    counts = torch.zeros(5, 5).index_put_((here.flatten(), there.flatten()), torch.ones(6400), accumulate=True)
    off = counts[~torch.eye(5).bool()]
    assert off.min() > 0.7 * 320
    assert off.max() < 1.3 * 320


def test_training_turns_patches_away_and_repeats():
    model, x = victim(), images()
    little, much, again = (train_lpd(model, x, short(epochs=epochs)) for epochs in (1, 12, 12))
    assert torch.equal(again.perturb(x), much.perturb(x))
    assert (much.method, much.record["patches"]) == ("LPD-like", 16)
    here, there = drawn_positions(torch.rand(24, 128, generator=torch.Generator().manual_seed(0)), 30)

    def loss(trained):
        with features(model, LAYER) as seen, torch.no_grad():
            model(x)
            clean = seen.pop()
            model(trained.perturb(x))
            return sum(terms(clean, seen.pop(), here, there)).mean()

    assert loss(much) < loss(little)
    assert not torch.equal(train_lpd(model, x, short(epochs=12), patches=2).perturb(x), much.perturb(x))


def test_refusals():
    with pytest.raises(ValueError, match="patches is 0"):
        train_lpd(victim(), images(), short(), patches=0)
    with pytest.raises(ValueError, match="maps have one position"):
        train_lpd(victim(), images(shape=(3, 2, 2)), short())
