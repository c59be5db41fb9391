"""FGSM, MI-FGSM, PGD, TkML, Rank I, MASW, MADW and LOTS take every step of their published loops, image by image."""

import pytest
import torch

from flipbook.attacks import fgsm, lots, madw, masw, mi_fgsm, pgd, rank_i, tkml
from flipbook.goals import ClassTarget, LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey
from tests.attacks import plain_descents as plain
from tests.attacks.plain_madw import madw as plain_madw

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


def looked_at(attack, model, image, goal, **options):
    """The images that MADW moves to: it looks at each once, and again for the gradients of a step from there."""
    seen = []

    def watched(x):
        seen.append((x.detach()[0], torch.is_grad_enabled() and x.requires_grad))
        return model(x)

    result = attack(watched, image[None], goal, **options)
    return [x for x, for_gradients in seen[-int(result.forwards) :] if not for_gradients]


def assert_same_path(mine, theirs, at_least=1):
    assert len(mine) == len(theirs) >= at_least
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def assert_descends(attack, loss, goal, model, x, own, chosen, **options):
    """An attack of plain gradient steps takes those of its loss of logits, own and chosen labels."""
    options |= {"radius": RADIUS, "learning_rate": RATE, "max_iterations": STEPS}
    path = plain.descend(
        model,
        x,
        lambda z: loss(z, own, K, chosen),
        lambda z: bool(goal.reached(z[None])),
        RADIUS,
        RATE,
        STEPS,
    )
    assert_same_path(shown_to(attack, model, x, goal, **options), list(path), at_least=2)


@pytest.mark.parametrize("targeted", [False, True])
def test_tkml(targeted):
    for model, x, own, chosen, (present, target) in cases(targeted):
        goal = TopKEquals(target, present=present) if targeted else TopKExcludes(present, K)
        assert_descends(tkml, plain.loss_tkml, goal, model, x, own, chosen, stop_on_success=True)


def test_rank_i():
    for model, x, own, chosen, (present, target) in cases(targeted=True):
        assert_descends(rank_i, plain.loss_rank_i, TopKEquals(target, present=present), model, x, own, chosen)


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


@pytest.mark.parametrize("targeted", [False, True])
def test_madw(targeted):
    for model, x, own, chosen, (present, target) in cases(targeted):
        goal = TopKEquals(target, present=present, hide=True) if targeted else TopKExcludes(present, K, hide=True)
        common = {"f_in": 1.7, "f_de": 3.0, "damping": 300.0, "margin": 0.2, "radius": 0.6}
        options = {"lam1": 0.4, "lam2": 0.7, "eta": 1.1, "eps0": 0.05, "max_iterations": STEPS} | common
        mine = looked_at(madw, model, x, goal, **options)
        settings = {"λ": (0.4, 0.7), "η": 1.1, "ε0": 0.05, "steps": STEPS} | common
        assert_same_path(mine, list(plain_madw(model, x, own, K, chosen, **settings)), at_least=4)


@pytest.mark.parametrize("kind", ["class", "labels"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [fgsm, mi_fgsm, pgd])
def test_steps_of_steepest_descent(attack, norm, kind):
    """Their own papers' loops, with default steps: ε at once, ε / T along the momentum, 2.5 ε / T."""
    model, images = SmallNet(gain=6.0), mid_grey(4)
    z = model(images)
    goal = ClassTarget(z.argmin(dim=1)) if kind == "class" else LabelVector(z < 0)
    T, ε = 1 if attack is fgsm else 12, 0.05 if norm == "linf" else 0.4
    size = {fgsm: ε, mi_fgsm: ε / T, pgd: 2.5 * ε / T}[attack]
    options = {"norm": norm, "bound": ε} | ({} if attack is fgsm else {"max_iterations": T})
    for n in range(4):
        mine = shown_to(attack, model, images[n], goal[n : n + 1], **options)

        def loss(z, n=n):
            if kind == "class":
                return torch.nn.functional.cross_entropy(z, goal.target[n])
            return torch.nn.functional.binary_cross_entropy_with_logits(z, goal.target[n].double(), reduction="sum")

        path = plain.steepest(
            model,
            images[n],
            loss,
            lambda z, n=n: bool(goal[n : n + 1].reached(z[None])),
            norm=norm,
            ε=ε,
            size=size,
            steps=T,
            momentum=attack is mi_fgsm,
        )
        assert_same_path(mine, list(path), at_least=2)


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
