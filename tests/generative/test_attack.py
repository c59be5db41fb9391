"""The attacks: what the generator made, whatever the goal, at the price of two forward passes."""

import pandas as pd
import pytest
import torch

from flipbook import evaluation
from flipbook.attacks import gama, lpd
from flipbook.generative import train_gama, train_lpd
from flipbook.goals import LabelVector, TopKExcludes
from tests.generative.small import images, labels, short, victim


@pytest.fixture(scope="module")
def trained():
    return train_gama(victim(), images(), labels(), short())


def test_returns_what_the_generator_makes(trained):
    """Failures too; an image whose goal is reached stays as it is and costs one pass."""
    model, x = victim(), images(8, seed=1)
    z = model(x)
    present = torch.zeros_like(z).scatter(1, z.argmax(dim=1, keepdim=True), 1.0).bool()
    present[2] = torch.zeros(6).bool().scatter(0, z[2].argmin(dim=0, keepdim=True), True)
    goal = TopKExcludes(present, 2)
    result, made = gama(model, x, goal, generator=trained), trained.perturb(x)
    others = torch.arange(8) != 2
    assert torch.equal(result.images[2], x[2])
    torch.testing.assert_close(result.images[others], made[others], atol=1e-6, rtol=0)
    assert torch.equal(result.reached, goal.reached(model(result.images)))
    assert not result.reached[others].all()
    assert result.iterations.tolist() == result.forwards.sub(1).tolist() == others.long().tolist()
    assert result.backwards.tolist() == [0] * 8
    assert torch.equal(result.first_success > 0, result.reached)
    assert (result.images - x).abs().max() <= 10 / 255


def test_one_generator_serves_every_k_and_any_batch(trained):
    model, x = victim(), images(6, seed=1)
    goals = [TopKExcludes(labels(6), k) for k in (1, 2, 3)]
    results = [gama(model, x, goal, generator=trained) for goal in goals]
    both = ~results[0].reached & ~results[2].reached
    assert torch.equal(results[0].images[both], results[2].images[both])
    alone = torch.cat([gama(model, x[i : i + 1], goals[1][i : i + 1], generator=trained).images for i in range(6)])
    torch.testing.assert_close(alone, results[1].images, atol=1e-6, rtol=0)
    assert len(gama(model, x[:0], goals[1][:0], generator=trained)) == 0


def test_is_a_trial(trained):
    """Rows of an experiment, found again in the store with a generator that was trained anew."""
    model, x = victim(), images(6, seed=1)
    goal = LabelVector(model(x) < 0)
    rows = evaluation.run(gama, model, x, goal, hyper={"generator": trained}, progress=False)
    assert rows["linf"].max() <= 10 / 255
    same = train_gama(victim(), images(), labels(), short())
    again = evaluation.run(gama, model, x, goal, hyper={"generator": same}, progress=False)
    pd.testing.assert_frame_equal(again, rows)


def test_refusals(trained):
    model, x = victim(), images(4)
    goal = LabelVector(model(x) > 0)
    with pytest.raises(ValueError, match="generator is GAMA-like, it must be LPD-like"):
        lpd(model, x, goal, generator=trained)
    with pytest.raises(ValueError, match="generator is ImageGenerator, it must be GAMA-like"):
        gama(model, x, goal, generator=trained.network)
    grey = train_lpd(GreyVictim(), images(shape=(1, 10, 12)), short(layer="net.body.1"))
    with pytest.raises(ValueError, match="generator is for images of 1 channels, these have 3"):
        lpd(model, x, goal, generator=grey)


class GreyVictim(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = victim()
        self.eval()

    def forward(self, x):
        return self.net(x.expand(-1, 3, -1, -1))
