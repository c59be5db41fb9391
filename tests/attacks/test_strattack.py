"""StrAttack: against its plain wording, its two proximal maps, the dense limit, the passes, and what it refuses."""

import numpy as np
import pytest
import torch

from flipbook.attacks.strattack import _quantile_of_changed, _shrink, strattack
from flipbook.goals import ClassTarget
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.plain_strattack import plain_strattack, soft_threshold

SHORT = {"search_steps": 3, "max_iterations": 30, "more_iterations": 7, "refine_steps": 3, "refine_iterations": 20}


def second_class(model, x):
    return ClassTarget(model(x).argsort(dim=1)[:, -2])


def norms(change):
    change = change.flatten()
    return torch.stack([(change != 0).sum().double(), *(change.norm(p) for p in (1, 2, torch.inf))])


@pytest.mark.parametrize(
    ("c", "rho", "tau", "group"), [(1.0, 15.0, 3.0, 2), (0.2, 8.0, 1.0, 4), (1.0, 15.0, 3.0, 1), (500.0, 15.0, 9.0, 2)]
)
def test_equals_the_plain_wording_of_one_image(c, rho, tau, group):
    """Both phases, the search for c before and after a success, cut groups at the border, the quantile, the record."""
    model, x = SmallNet(), mid_grey(4, shape=(3, 7, 6))
    goal = second_class(model, x)
    result = strattack(model, x, goal, initial_const=c, rho=rho, tau=tau, group=group, refine_quantile=0.1, **SHORT)
    for n in range(4):
        best = plain_strattack(
            model,
            x[n : n + 1],
            goal[n : n + 1],
            c=c,
            lengths=[30, 37, 44],
            ρ=rho,
            τ=tau,
            γ=2.0,
            α=5.0,
            group=group,
            refine_c=5.0,
            refinements=[20] * 3,
            quantile=0.1,
        )
        assert bool(result.reached[n]) == (best["change"] is not None)
        if best["change"] is not None:
            torch.testing.assert_close(norms(result.images[n] - x[n]), norms(best["change"]), atol=1e-9, rtol=1e-9)
            torch.testing.assert_close(result.images[n], (x[n] + best["change"])[0], atol=1e-9, rtol=0)
            assert int(result.iterations[n]) == best["iteration"]


@pytest.mark.parametrize("group", [1, 2, 3, 13])
def test_shrinking_is_the_proximal_map_of_the_group_norms(group):
    """Every group loses the threshold in length or vanishes, and keeps its direction; a side need not be a multiple."""
    d = torch.randn(3, 2, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    d[1, :, :2, :2] = 0
    y = _shrink(d, group, 1.5)
    for n in range(3):
        torch.testing.assert_close(y[n : n + 1], soft_threshold(d[n : n + 1], group, 1.5), atol=1e-12, rtol=0)
    for i in range(0, 7, group):
        for j in range(0, 8, group):
            before, after = (t[:, :, i : i + group, j : j + group].flatten(1).norm(dim=1) for t in (d, y))
            torch.testing.assert_close(after, (before - 1.5).clamp(min=0), atol=1e-12, rtol=0)
    assert torch.equal(_shrink(d, group, 0.0), d)


def test_the_quantile_is_of_the_changed_entries_of_each_image():
    g = torch.Generator().manual_seed(0)
    change = torch.randn(5, 3, 4, 4, generator=g, dtype=torch.float64)
    change *= torch.rand(change.shape, generator=g) < torch.linspace(0.1, 1, 5).view(-1, 1, 1, 1)
    for q in (0.0, 0.03, 0.5, 0.97):
        plain = [np.quantile(c[c != 0].abs().numpy(), q) for c in change]
        torch.testing.assert_close(_quantile_of_changed(change, q), torch.tensor(plain), atol=1e-12, rtol=0)


def test_without_groups_it_ends_near_the_exact_distance():
    """τ = 0 leaves the dense L2 attack: two classes of an affine model, a hyperplane."""
    model, x = random_affine(outputs=2, scale=3.0), mid_grey(4)
    z = model(x)
    options = {"search_steps": 12, "max_iterations": 150, "more_iterations": 0, "refine_steps": 0}
    result = strattack(model, x, ClassTarget(z.argmin(dim=1)), tau=0.0, **options)
    exact = (z[:, 0] - z[:, 1]).abs() / (model.W[0] - model.W[1]).norm()
    violations = (result.images - x).flatten(1).norm(dim=1)
    assert result.reached.all()
    assert (violations >= exact * (1 - 1e-9)).all()
    assert (violations <= exact * 1.03).all()


def test_a_search_changes_whole_groups_and_fewer_of_them_at_a_larger_tau():
    model, x = SmallNet(), mid_grey(4)
    goal = second_class(model, x)
    touched = []
    for τ in (0.0, 0.5, 3.0):
        result = strattack(model, x, goal, tau=τ, **SHORT | {"refine_steps": 0, "search_steps": 4})
        assert result.reached.all()
        groups = (result.images != x).double()
        share = torch.nn.functional.avg_pool2d(groups.mean(dim=1, keepdim=True), 2)
        assert ((share == 0) | (share == 1)).all()
        touched.append(share.sum(dim=(1, 2, 3)))
    assert (touched[0] == 9).all()
    assert (touched[1] <= touched[0]).all()
    assert (touched[2] < touched[1]).all()


def test_refining_shortens_the_change_and_touches_nothing_new():
    model, x = SmallNet(), mid_grey(4)
    goal = second_class(model, x)
    rough, fine = (strattack(model, x, goal, **SHORT | {"refine_steps": n}) for n in (0, 6))
    before, after = rough.images - x, fine.images - x
    assert (after.flatten(1).norm(dim=1) < before.flatten(1).norm(dim=1)).all()
    assert (before != 0)[after != 0].all()
    assert ((after != 0).flatten(1).sum(dim=1) < (before != 0).flatten(1).sum(dim=1)).all()


def test_passes_are_those_of_the_docstring_and_failures_are_not_refined():
    model, x = random_affine(outputs=3), mid_grey(4)
    model.b[2] = -1e6  # out of reach
    second = model(x)[:, :2].argmin(dim=1)
    target = torch.where(torch.arange(4) < 2, 2, second)
    result = strattack(model, x, ClassTarget(target), **SHORT)
    searched, refined = 30 + 37 + 44, 3 * 20
    assert result.reached.tolist() == [False, False, True, True]
    assert result.forwards.tolist() == [1 + 2 * searched] * 2 + [1 + 2 * searched + refined] * 2
    assert result.backwards.tolist() == [searched] * 2 + [searched + refined] * 2
    assert ((result.first_success - 1) % 3 == 0)[2:].all()  # first reached by a search's second look


def test_the_margin_is_kept():
    model, x = SmallNet(), mid_grey(4)
    goal = second_class(model, x)
    near, far = (strattack(model, x, goal, kappa=κ, **SHORT | {"search_steps": 5}) for κ in (0.0, 0.5))
    assert near.reached.all()
    assert far.reached.all()
    assert (goal.margins(model(near.images)).amin(dim=1) < 0.5).all()
    assert (goal.margins(model(far.images)).amin(dim=1) >= 0.5).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("initial_const", 0),
        ("rho", 0),
        ("alpha", -1),
        ("tau", -1),
        ("gamma", -0.5),
        ("kappa", -1),
        ("group", 0),
        ("more_iterations", -1),
        ("refine_const", 0),
        ("refine_steps", -1),
        ("refine_iterations", 0),
        ("refine_quantile", 1),
    ],
)
def test_settings_out_of_range_are_named(option, value):
    model, x = SmallNet(), mid_grey(2)
    with pytest.raises(ValueError, match=f"{option} is {value}: it must be") as caught:
        strattack(model, x, second_class(model, x), **SHORT | {option: value})
    assert "\n" not in str(caught.value)
