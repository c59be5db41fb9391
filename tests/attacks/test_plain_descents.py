"""TkML, Rank I, MASW (untargeted and targeted) and LOTS take every step of their published loops, image by image."""

import pytest
import torch

from flipbook.attacks import lots, masw, rank_i, tkml
from flipbook.goals import LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey
from tests.attacks import plain_descents as plain

RATE, RADIUS, STEPS, K = 0.01, 2.0, 12, 2


def cases(targeted):
    """Model, and for each of four images the image, its own labels, those chosen, and the goal."""
    model, images = SmallNet(gain=6.0), mid_grey(4)
    order = model(images).argsort(dim=1, descending=True)
    for n in range(4):
        own = order[n, : 1 + n % 2].tolist()
        chosen = order[n, -K:].tolist() if targeted else []
        marks = [torch.isin(torch.arange(6), torch.tensor(each))[None] for each in (own, chosen)]
        yield model, images[n], own, chosen, marks


def shown_to(attack, model, image, goal, **options):
    """The images of the attack's own passes, from its first iterate on."""
    seen = []

    def watched(x):
        seen.append(x.detach()[0])
        return model(x)

    result = attack(watched, image[None], goal, **options)
    return seen[-int(result.forwards) :][1:]  # after the look at the clean image


def assert_same_path(mine, theirs, at_least=1):
    assert len(mine) == len(theirs) >= at_least
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("targeted", [False, True])
def test_tkml(targeted):
    for model, x, own, chosen, (present, target) in cases(targeted):
        goal = TopKEquals(target, present=present) if targeted else TopKExcludes(present, K)
        mine = shown_to(tkml, model, x, goal, radius=RADIUS, learning_rate=RATE, max_iterations=STEPS, leave=True)
        path = plain.descend(
            model,
            x,
            lambda z, own=own, chosen=chosen: plain.loss_tkml(z, own, K, chosen),
            lambda z, goal=goal: bool(goal.reached(z[None])),
            RADIUS,
            RATE,
            STEPS,
        )
        assert_same_path(mine, list(path), at_least=2)


def test_rank_i():
    for model, x, own, chosen, (present, target) in cases(targeted=True):
        goal = TopKEquals(target, present=present)
        mine = shown_to(rank_i, model, x, goal, radius=RADIUS, learning_rate=RATE, max_iterations=STEPS)
        path = plain.descend(
            model,
            x,
            lambda z, own=own, chosen=chosen: plain.loss_rank_i(z, own, K, chosen),
            lambda z, goal=goal: bool(goal.reached(z[None])),
            RADIUS,
            RATE,
            STEPS,
        )
        assert_same_path(mine, list(path), at_least=2)


@pytest.mark.parametrize(("squared", "margin"), [(False, 0.0), (True, 0.3)])
@pytest.mark.parametrize("targeted", [False, True])
def test_masw(targeted, squared, margin):
    for model, x, own, chosen, (present, target) in cases(targeted):
        goal = TopKEquals(target, present=present, hide=True) if targeted else TopKExcludes(present, K, hide=True)
        common = {"radius": RADIUS, "margin": margin}
        options = {"lam1": 0.4, "lam2": 0.7, "eta": 1.1, "eps0": 0.05, "form": "theta" if squared else "l1"} | common
        mine = shown_to(masw, model, x, goal, learning_rate=RATE, max_iterations=STEPS, **options)
        settings = {"λ": (0.4, 0.7), "η": 1.1, "ε0": 0.05, "rate": RATE, "steps": STEPS, "squared": squared} | common
        assert_same_path(mine, list(plain.masw(model, x, own, K, chosen, **settings)), at_least=2)


def test_lots():
    model, images = SmallNet(gain=6.0), mid_grey(4)
    target = (model(images) > 0) ^ (torch.arange(6) < 2)
    τ = 2.0 * (2.0 * target.double() - 1)
    for n in range(4):
        goal = LabelVector(target[n : n + 1])
        options = {"target_logits": τ[n : n + 1], "step": 0.02, "max_iterations": 15}
        mine = shown_to(lots, model, images[n], goal, **options)
        path = plain.lots(model, images[n], τ[n], lambda z, goal=goal: bool(goal.reached(z[None])), 0.02, 15)
        assert_same_path(mine, list(path), at_least=2)
