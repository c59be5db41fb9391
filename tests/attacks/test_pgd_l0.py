"""PGD l0 + linf: the corner of an affine model, the search for ε, a plain one-image wording, random starts, k."""

import math

import pytest
import torch

from flipbook.attacks.pgd_l0 import pgd_l0
from flipbook.core.per_image_random import keys, uniform
from flipbook.goals import ClassTarget, HideLabels, LabelVector
from tests.affine import SmallNet, mid_grey, random_affine

ONE_RUN = {"search_steps": 1, "restarts": 1, "step": 1e3}  # so long a step ends at a corner of the set


def two_classes(n=5, pixels=4):
    """The best corner of `pixels` pixels, as signs (n, 3, 6, 6), and the ε from which on it suffices."""
    model, x = random_affine(outputs=2, shape=(3, 6, 6), scale=3.0), mid_grey(n)
    z = model(x)
    target = z.argmin(dim=1)
    w = (model.W[target] - model.W[1 - target]).view(n, 3, 36)
    weight = w.abs().sum(dim=1)
    best = weight.argsort(dim=1, descending=True)[:, :pixels]
    chosen = torch.zeros(n, 36).double().scatter_(1, best, 1.0)
    ε = (z[:, 0] - z[:, 1]).abs() / (weight * chosen).sum(dim=1)
    assert (ε < 0.4).all()
    return model, x, ClassTarget(target), (w.sign() * chosen[:, None]).view(n, 3, 6, 6), ε


@pytest.mark.parametrize("loss", ["cross-entropy", "hinge"])
def test_ends_at_the_best_support_and_the_right_corner(loss):
    model, x, goal, corner, needed = two_classes()
    for i in range(5):
        alone = (model, x[i : i + 1], goal[i : i + 1])
        just, short = float(needed[i]) * 1.001, float(needed[i]) * 0.999
        result = pgd_l0(*alone, k=12, epsilon=just, max_iterations=2, loss=loss, **ONE_RUN)
        assert result.reached.all()
        torch.testing.assert_close(result.images, x[i : i + 1] + just * corner[i], atol=1e-12, rtol=0)
        # the first look, then the random start and the corner
        assert [int(each) for each in (result.iterations, result.forwards, result.backwards)] == [2, 3, 2]
        assert int(result.first_success) == 1 + 2 + 1
        assert not pgd_l0(*alone, k=12, epsilon=short, max_iterations=20, loss=loss, **ONE_RUN).reached.any()


def tried(needed, first, search_steps, bisections):
    """Values of ε of one image that succeeds from `needed` on, and whether each does."""
    ε, low, high, halved, history = first, 0.0, math.inf, 0, []
    while len(history) < search_steps:
        success = ε > needed
        history.append((ε, success))
        if high < math.inf:
            halved += 1
        low, high = (low, ε) if success else (ε, high)
        if (high < math.inf and halved == bisections) or (high == math.inf and ε >= 1):
            break
        ε = (low + high) / 2 if high < math.inf else min(2 * ε, 1)
    return history


@pytest.mark.parametrize(("search_steps", "bisections"), [(10, 4), (10, 0), (6, 4), (3, 1)])
def test_doubles_and_bisects_epsilon(search_steps, bisections):
    model, x, goal, corner, needed = two_classes()
    first, restarts = 0.7 * float(needed.median()), 3
    result = pgd_l0(
        model, x, goal, k=12, epsilon=first, search_steps=search_steps, bisections=bisections, restarts=restarts,
        max_iterations=2, step=1e3,
    )  # fmt: skip
    for i in range(5):
        history = tried(float(needed[i]), first, search_steps, bisections)
        assert int(result.backwards[i]) == sum(2 if success else 2 * restarts for _, success in history)
        failures = [success for _, success in history].index(True)
        assert int(result.first_success[i]) == 1 + 2 * (2 * restarts * failures + 1) + 1
        smallest = min(ε for ε, success in history if success)
        torch.testing.assert_close(result.images[i], x[i] + smallest * corner[i], atol=1e-12, rtol=0)


def test_gives_up_at_the_whole_range():
    model, x, goal, _, _ = two_classes(pixels=36)
    model.b[goal.target[0]] -= 500
    result = pgd_l0(model, x[:1], goal[:1], k=12, epsilon=0.3, restarts=2, max_iterations=3)
    assert not result.reached.any()
    assert int(result.backwards) == 3 * 2 * 3  # ε = 0.3, 0.6 and 1


def plain(model, x, goal, pixels, ε, runs, iterations, step, seed=0):
    """One image and one ε; the first success, its iterate and the evaluations made."""
    low, high, looks, m = (x - ε).clamp(min=0), (x + ε).clamp(max=1), 0, x.numel()

    def project(y):
        clipped = y.clamp(low, high)
        score = ((y - x) ** 2 - (y - clipped) ** 2).sum(dim=1).flatten()
        out = x.clone().flatten(2)
        best = score.topk(pixels).indices
        out[:, :, best] = clipped.flatten(2)[:, :, best]
        return out.view_as(x)

    for run in range(runs):
        y = project(low + uniform(keys(x, seed), m, run).view_as(x) * (high - low))
        for t in range(iterations):
            p = y.detach().requires_grad_()
            z = model(p)
            looks += 1
            if bool(goal.reached(z.detach())):
                return y, t + 1, looks
            (-goal.margins(z)).exp().sum().add(1).log().backward()
            y = project(y - step * m * p.grad / p.grad.abs().sum())
    return None, 0, looks


@pytest.mark.parametrize("kind", ["class", "labels", "hidden"])
@pytest.mark.parametrize(("pixels", "ε"), [(18, 0.1), (4, 0.2)])
def test_equals_the_plain_loop(kind, pixels, ε):
    model, x = SmallNet(), mid_grey(5)
    z = model(x)
    goal = {
        "class": ClassTarget(z.argsort(dim=1)[:, -2]),
        "labels": LabelVector((z > 0) ^ (torch.arange(6) == 1)),
        "hidden": HideLabels((torch.arange(6) < 2).expand(5, 6)),
    }[kind]
    options = {"epsilon": ε, "search_steps": 1, "restarts": 3, "max_iterations": 7, "step": 0.03, "seed": 5}
    result = pgd_l0(model, x, goal, k=3 * pixels, **options)
    for i in range(5):
        image, iterate, looks = plain(model, x[i : i + 1], goal[i : i + 1], pixels, ε, 3, 7, 0.03, seed=5)
        if bool(goal.reached(z)[i]):
            continue
        assert int(result.backwards[i]) == looks
        assert bool(result.reached[i]) == (image is not None)
        if image is not None:
            torch.testing.assert_close(result.images[i], image[0], atol=1e-9, rtol=0)
            assert int(result.iterations[i]) == iterate


def test_each_image_has_its_own_k_and_box():
    model, x = SmallNet(), mid_grey(6)
    x[:, 0, 0] = torch.tensor([0.0, 1.0, 0.001, 0.999, 0.0, 1.0])
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    k = torch.tensor([6, 13, 20, 40, 70, 108])
    result = pgd_l0(model, x, goal, k=k, search_steps=1, epsilon=0.1, restarts=1, max_iterations=9, step=0.05)
    changed = (result.images != x).any(dim=1).flatten(1).sum(dim=1)
    assert (changed <= (k / 3).round()).all()
    assert result.reached.any()
    assert torch.equal(changed[result.reached], (k / 3).round().long()[result.reached])
    assert ((result.images >= (x - 0.1).clamp(min=0)) & (result.images <= (x + 0.1).clamp(max=1))).all()


def test_one_k_for_all_is_the_same_as_one_each():
    model, x = SmallNet(), mid_grey(4)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    options = {"search_steps": 3, "restarts": 2, "max_iterations": 8}
    one = pgd_l0(model, x, goal, k=54, **options)
    each = pgd_l0(model, x, goal, k=torch.full((4,), 54), **options)
    assert torch.equal(one.images, each.images)


def test_pixels_of_one_channel_are_entries():
    model, x = random_affine(outputs=2, shape=(1, 6, 6)), mid_grey(3, shape=(1, 6, 6))
    goal = ClassTarget(model(x).argmin(dim=1))
    result = pgd_l0(model, x, goal, k=7, max_iterations=5)
    assert result.reached.all()
    assert ((result.images != x).flatten(1).sum(dim=1) == 7).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("seed", 1),
        ("k", 30),
        ("epsilon", 0.05),
        ("step", 0.01),
        ("search_steps", 1),
        ("bisections", 1),
        ("max_iterations", 3),
        ("restarts", 1),
        ("loss", "hinge"),
    ],
)
def test_a_changed_hyper_parameter_changes_the_result(option, value):
    model, x = SmallNet(), mid_grey(6)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) % 2 == 1))
    options = {"k": 54, "max_iterations": 10, "restarts": 3, "step": 0.03}
    usual = pgd_l0(model, x, goal, **options)
    changed = pgd_l0(model, x, goal, **(options | {option: value}))
    assert not torch.equal(usual.images, changed.images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 1}, "k is 1: .* one pixel .3 entries. .* 108"),
        ({"k": 109}, "k is 109"),
        ({"k": torch.tensor([20, 0])}, "k is 0"),
        ({"k": 0.2}, "type torch.float32"),
        ({"k": torch.tensor([20, 20, 20])}, r"k has shape \(3,\)"),
        ({"k": 20, "bisections": -1}, "bisections is -1"),
        ({"k": 20, "epsilon": 0}, "epsilon is 0"),
        ({"k": 20, "restarts": 0}, "restarts is 0"),
        ({"k": 20, "loss": "margin"}, "loss is 'margin'"),
    ],
)
def test_bad_options_are_named(options, message):
    model, x = random_affine(), mid_grey(2)
    with pytest.raises(ValueError, match=message) as caught:
        pgd_l0(model, x, LabelVector(model(x) < 0), **options)
    assert "\n" not in str(caught.value)
