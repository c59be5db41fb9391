"""SparseFool: the fewest entries on an affine model, a plain one-image wording, bounds and their doubling, passes."""

import pytest
import torch

from flipbook.attacks.sparsefool import sparsefool
from flipbook.goals import ClassTarget, HideLabels, LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.solvers.test_sparse_box import one_by_one

Δ = 12 / 255


def two_classes(n=5):
    """The weaker class as target; its unit direction and its distance, both known."""
    model, x = random_affine(outputs=2, shape=(3, 6, 6), scale=3.0), mid_grey(n)
    z = model(x)
    target = z.argmin(dim=1)
    w = model.W[target] - model.W[1 - target]
    return model, x, ClassTarget(target), w / w.norm(dim=1, keepdim=True), (z[:, 0] - z[:, 1]).abs() / w.norm(dim=1)


@pytest.mark.parametrize("λ", [1.0, 3.0])
def test_two_affine_classes_need_a_prefix_of_the_largest_weights(λ):
    model, x, goal, w, violations = two_classes()
    bound = 4 * float((violations / w.abs().sum(dim=1)).max())
    result = sparsefool(model, x, goal, lambda_=λ, bound=bound)
    assert result.reached.all()
    change = (result.images - x).flatten(1)
    for i in range(len(x)):
        order = w[i].abs().argsort(descending=True)
        reach = bound * w[i, order].abs().cumsum(dim=0)
        needed = int((reach < λ * violations[i]).sum()) + 1
        assert 1 < needed < 108
        assert set(change[i].nonzero().flatten().tolist()) == set(order[:needed].tolist())
        full = order[: needed - 1]
        torch.testing.assert_close(change[i, full], bound * w[i, full].sign(), atol=1e-12, rtol=0)
        last = order[needed - 1]
        left = (λ * violations[i] + 1e-3 - reach[needed - 2]) / w[i, last].abs()
        expected = w[i, last].sign() * min(1.02 * min(left, bound), bound)
        torch.testing.assert_close(change[i, last], expected, atol=1e-12, rtol=0)
    # the start, one step of DeepFool, the result
    for column, value in (("iterations", 1), ("forwards", 4), ("backwards", 3), ("first_success", 6)):
        assert (getattr(result, column) == value).all()


def plain(model, x, goal, bound=Δ, λ=3.0, overshoot=1.02, rounds=20, steps=50):
    """One image, one step after the other; returns the last result, rounds and evaluations."""

    def look(p):
        p = p.detach().requires_grad_()
        z = model(p)
        margin = goal.margins(z).min()
        (g,) = torch.autograd.grad(margin, p)
        return bool(goal.reached(z.detach())), margin.item(), g

    low, high = (x - bound).clamp(min=0), (x + bound).clamp(max=1)
    start, looks = x, 0
    for made in range(rounds + 1):
        reached, margin, g = look(start)
        looks += 1
        if reached or made == rounds:
            break
        r = torch.zeros_like(x)
        for _ in range(steps):
            r = r + max(-margin / float(g.norm()), 1e-4) * g / g.norm()
            reached, margin, g = look(start + overshoot * r)
            looks += 1
            if reached:
                break
        w = (g / g.norm()).flatten()
        gain = max(float(w @ (λ * r).flatten()), 1e-3)
        moved = one_by_one(start.flatten(), w, gain, low.flatten(), high.flatten(), 1e-3).view_as(x)
        if torch.equal(moved, start):
            break
        start = (x + overshoot * (moved - x)).clamp(low, high)
    return start, reached, made, looks


@pytest.mark.parametrize(("λ", "bound", "steps"), [(3.0, Δ, 50), (1.0, 0.03, 50), (1.5, 0.05, 2)])
@pytest.mark.parametrize("kind", ["class", "labels", "hidden"])
def test_equals_the_plain_loop(kind, λ, bound, steps):
    model, x = SmallNet(), mid_grey(5)
    z = model(x)
    goals = {
        "class": ClassTarget(z.argsort(dim=1)[:, -3]),
        "labels": LabelVector((z > 0) ^ (torch.arange(6) == 1) ^ (torch.arange(6) == 4)),
        "hidden": HideLabels((torch.arange(6) < 3).expand(5, 6)),
    }
    goal, rounds = goals[kind], 8
    result = sparsefool(
        model, x, goal, lambda_=λ, bound=bound, max_iterations=rounds, deepfool_steps=steps, overshoot=1.05
    )
    for i in range(5):
        image, reached, made, looks = plain(model, x[i : i + 1], goal[i : i + 1], bound, λ, 1.05, rounds, steps)
        if bool(goal.reached(z)[i]):
            looks = 0
        assert bool(result.reached[i]) == reached
        assert (int(result.forwards[i]), int(result.backwards[i])) == (looks + 1, looks)
        if reached:
            torch.testing.assert_close(result.images[i], image[0], atol=1e-9, rtol=0)
            assert int(result.iterations[i]) == made
            assert int(result.first_success[i]) == 2 * looks if looks else 1


def test_the_bound_holds_and_is_doubled_until_it_suffices():
    model, x, goal, w, _ = two_classes()
    x[0, 0, 0] = torch.tensor([0.0, 1.0, 0.001, 0.999, 0.0, 1.0])
    violations = -(goal.margins(model(x)).amin(dim=1)) / (model.W[0] - model.W[1]).norm()
    first = 0.9 * float((violations / w.abs().sum(dim=1)).min()) / 2
    fixed = sparsefool(model, x, goal, bound=first)
    assert not fixed.reached.any()
    # all entries moved at once: the start, one step, the result, one more step, then nothing is left to move
    assert (fixed.forwards == 5).all()
    assert (fixed.backwards == 4).all()
    widened = sparsefool(model, x, goal, bound=first, bound_doublings=4)
    assert widened.reached.all()
    for i in range(len(x)):
        tried = [sparsefool(model, x[i : i + 1], goal[i : i + 1], bound=first * 2**j) for j in range(5)]
        j = [bool(each.reached) for each in tried].index(True)
        assert j > 0
        assert torch.equal(widened.images[i], tried[j].images[0])
        assert int(widened.iterations[i]) == int(tried[j].iterations)
        assert int(widened.backwards[i]) == sum(int(each.backwards) for each in tried[: j + 1])
        bound = torch.tensor(first * 2**j, dtype=torch.float64)
        assert (widened.images[i] >= (x[i] - bound).clamp(min=0)).all()
        assert (widened.images[i] <= (x[i] + bound).clamp(max=1)).all()


def test_the_bound_stops_at_the_whole_range():
    """An unreachable goal: bounds 1/4, 1/2 and 1 are tried, no more."""
    W = torch.randn(2, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = Affine(W, torch.tensor([50.0, 0.0])).eval()
    x = torch.full((1, 3, 2, 2), 0.5).double()
    result = sparsefool(model, x, ClassTarget(torch.tensor([1])), bound=0.25, bound_doublings=30)
    assert not result.reached.any()
    assert int(result.backwards) == 3 * 4


def test_no_gradient_no_harm():
    model, x = Affine(torch.zeros(3, 108), torch.tensor([0.1, -0.1, 0.2])).eval(), mid_grey(2)
    result = sparsefool(model, x, ClassTarget(torch.tensor([0, 1])), bound_doublings=2)
    assert torch.equal(result.images, x)
    assert not result.reached.any()
    assert (result.backwards == 3).all()  # one look with each bound


def test_a_failure_is_the_sparsest_of_the_nearest_attempts():
    model, x, goal, _, _ = two_classes()
    result = sparsefool(model, x, goal, bound=1e-3)
    assert not result.reached.any()
    assert torch.equal(result.images, x)  # one requirement is missed everywhere, and no entry changed in x itself


@pytest.mark.parametrize(
    ("option", "value"),
    [("lambda_", 1.2), ("bound", 0.02), ("overshoot", 1.3), ("deepfool_steps", 1), ("max_iterations", 1)],
)
def test_a_changed_hyper_parameter_changes_the_result(option, value):
    model, x = SmallNet(), mid_grey(5)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) % 2 == 1))
    usual = sparsefool(model, x, goal)
    changed = sparsefool(model, x, goal, **{option: value})
    assert not torch.equal(usual.images, changed.images)


@pytest.mark.parametrize(
    ("option", "value"),
    [("bound", 0), ("lambda_", -1), ("deepfool_steps", 0), ("overshoot", 0.9), ("bound_doublings", -1)],
)
def test_hyper_parameters_out_of_range_are_named(option, value):
    model, x = random_affine(), mid_grey(2)
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        sparsefool(model, x, LabelVector(model(x) < 0), **{option: value})
