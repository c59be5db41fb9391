"""SAPF-GS: its limit without groups, what the groups do, and where they come from."""

import pytest
import torch

from flipbook.attacks.sapf import sapf, sapf_gs
from flipbook.goals import ClassTarget
from flipbook.sparse.superpixels import superpixels
from tests.affine import SmallNet, mid_grey, random_affine

SHAPE = (3, 8, 8)
SHORT = {"k": 36, "initial_weight": 0.3, "search_steps": 2, "inner_iterations": 40}


def problem(n=3, shape=SHAPE):
    model, x = SmallNet(), mid_grey(n, shape)
    return model, x, ClassTarget(model(x).argsort(dim=1)[:, -2])


def squares(n, side=2, shape=SHAPE):
    """Groups of side x side pixels."""
    rows, columns = torch.arange(shape[1]) // side, torch.arange(shape[2]) // side
    return (rows[:, None] * (shape[2] // side) + columns).expand(n, -1, -1)


def touched(result, x, groups):
    """How many groups have a changed entry."""
    changed = (result.images != x).any(dim=1)
    return torch.tensor([len(labels[mask].unique()) for labels, mask in zip(groups, changed, strict=True)])


@pytest.mark.parametrize("selection", ["literal", "normalised"])
def test_no_group_weight_is_sapf(selection):
    model, x, goal = problem()
    alone = sapf(model, x, goal, selection=selection, **SHORT)
    grouped = sapf_gs(model, x, goal, selection=selection, group_weight=0.0, groups=squares(3), **SHORT)
    assert torch.equal(alone.images, grouped.images)
    assert torch.equal(alone.first_success, grouped.first_success)


def test_a_tiny_group_weight_is_nearly_sapf():
    model, x, goal = problem()
    alone = sapf(model, x, goal, selection="normalised", **SHORT)
    grouped = sapf_gs(model, x, goal, selection="normalised", group_weight=1e-12, groups=squares(3), **SHORT)
    torch.testing.assert_close(alone.images, grouped.images, atol=1e-6, rtol=0)


def test_fewer_groups_for_a_longer_perturbation():
    """At equal k, the paper's Figure 3."""
    model, x, goal = problem(2)
    options = {"k": 36, "initial_weight": 1.0, "search_steps": 2, "inner_iterations": 120, "groups": squares(2)}
    free, bound = (sapf_gs(model, x, goal, group_weight=λ2, **options) for λ2 in (0.0, 1.0))
    assert free.reached.all()
    assert bound.reached.all()
    for result in (free, bound):
        assert ((result.images != x).flatten(1).sum(dim=1) == 36).all()
    assert (touched(bound, x, squares(2)) < touched(free, x, squares(2))).all()
    lengths = [(result.images - x).flatten(1).norm(dim=1).mean() for result in (free, bound)]
    assert lengths[1] > lengths[0]


def test_the_group_with_the_larger_gradients_is_taken():
    """Affine, two groups of 54 entries, k = 54, gradients of one twice the other's: the optimum is that group."""
    model, x = random_affine(outputs=2), mid_grey(2)
    left = (torch.arange(6) < 3).expand(3, 6, 6).flatten()
    sign = model.W[0].sign()
    model.W[0] = 0.1 * torch.where(left, 2.0, 1.0) * sign
    model.W[1] = -model.W[0]
    model.b -= model(x).mean(dim=0) + torch.tensor([1.0, -1.0])
    goal = ClassTarget(model(x).argmin(dim=1))
    groups = (torch.arange(6) < 3).long().expand(2, 6, 6)
    options = {"initial_weight": 0.3, "search_steps": 3, "inner_iterations": 200, "selection": "normalised"}
    result = sapf_gs(model, x, goal, k=54, group_weight=0.1, groups=groups, **options)
    assert result.reached.all()
    assert torch.equal((result.images != x).flatten(1), left.expand(2, -1))


def test_groups_are_superpixels_by_default():
    model, x, goal = problem()
    options = SHORT | {"group_weight": 0.5}
    default = sapf_gs(model, x, goal, segments=9, **options)
    given = sapf_gs(model, x, goal, groups=superpixels(x, 9), **options)
    assert torch.equal(default.images, given.images)


def test_images_of_one_colour_have_groups_too():
    model = SmallNet()
    x = torch.full((2, *SHAPE), 0.4, dtype=torch.float64)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    result = sapf_gs(model, x, goal, segments=9, group_weight=0.5, **SHORT)
    assert result.reached.all()
    assert ((result.images != x).flatten(1).sum(dim=1) <= 36).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"groups": torch.zeros(2, 8, 8).long()},
            r"groups have shape \(2, 8, 8\): give one label a pixel, \(3, 8, 8\)",
        ),
        ({"groups": torch.zeros(3, 3, 8, 8).long()}, "groups have shape"),
        ({"groups": torch.zeros(3, 8, 8)}, "groups are torch.float32"),
        ({"groups": torch.full((3, 8, 8), -1)}, "or negative"),
        ({"group_weight": -1.0}, "group_weight is -1"),
        ({"segments": 0}, "segments is 0"),
        ({"selection": "magnitude"}, "selection is 'magnitude'"),
        ({"k": 0}, "k is 0"),
        ({"k": 193}, "k is 193"),
    ],
)
def test_bad_options_are_named(options, message):
    model, x, goal = problem()
    with pytest.raises(ValueError, match=message):
        sapf_gs(model, x, goal, **(SHORT | options))
