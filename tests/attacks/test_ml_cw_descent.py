"""ML-C&W within a ball: its path on affine models, factors of hinges, weights, and that the goal decides."""

import pytest
import torch

from flipbook.attacks.ml_cw_descent import ml_cw_descent
from flipbook.goals import HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.cases import images_and_goal
from tests.attacks.test_masw import Seen


def test_one_label_falls_along_its_gradient_until_it_is_below_zero():
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    top = z.argmax(dim=1, keepdim=True)
    hidden = torch.zeros(4, 6).bool().scatter(1, top, True)
    result = ml_cw_descent(model, x, HideLabels(hidden), learning_rate=0.02, radius=50.0)
    W = model.W[top[:, 0]]
    steps = (z.amax(dim=1) / (0.02 * W.square().sum(dim=1))).ceil()
    assert torch.equal(result.iterations.double(), steps)
    torch.testing.assert_close((result.images - x).flatten(1), -0.02 * steps[:, None] * W, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["excluded", "ranked"])
def test_a_top_k_goal_is_descended_label_by_label(kind):
    """One step: own labels above 0 fall, targets below 0 rise, whatever the ranking."""
    model = random_affine()
    x, goal = images_and_goal(model, kind)
    seen = Seen(model)
    ml_cw_descent(seen, x, goal, learning_rate=0.01, max_iterations=1)
    z, rows = model(x), [0, 1, 3, 4, 5]
    targets = goal.target if kind == "ranked" else torch.zeros_like(goal.present)
    falls, rises = goal.present & ~targets & (z > 0), targets & (z < 0)
    δ = 0.01 * (rises.double() - falls.double()) @ model.W
    torch.testing.assert_close((seen.images[-1] - x[rows]).flatten(1), δ[rows], rtol=0, atol=1e-12)


def test_the_ranking_decides_and_labels_on_their_side_stand_still():
    """Both labels hidden by their hinges are still the first two: no gradient is left, and no success."""
    model, x = random_affine(), mid_grey(2)
    model.b = model.b - 10
    own = torch.zeros(2, 6).bool().scatter(1, model(x).topk(2, dim=1).indices, True)
    seen = Seen(model)
    result = ml_cw_descent(seen, x, TopKExcludes(own, 2), max_iterations=5)
    assert not result.reached.any()
    assert all(torch.equal(each, x) for each in seen.images[2:])


def test_factors_multiply_hinges_image_by_image():
    model, x = random_affine(), mid_grey(3)
    z = model(x)
    goal = LabelVector(z < 0)
    factors = torch.rand(3, 6, generator=torch.Generator().manual_seed(0))
    factors[0] = 0
    seen = Seen(model)
    ml_cw_descent(seen, x, goal, factors=factors, learning_rate=0.01, max_iterations=1)
    δ = 0.01 * (factors.double() * goal.signs.double()) @ model.W
    torch.testing.assert_close((seen.images[-1] - x).flatten(1), δ, rtol=0, atol=1e-12)
    there = LabelVector(torch.where(torch.arange(3)[:, None] == 1, z > 0, z < 0))  # the second leaves at once
    seen = Seen(model)
    ml_cw_descent(seen, x, there, factors=factors, learning_rate=0.01, max_iterations=1)
    torch.testing.assert_close((seen.images[-1] - x[[0, 2]]).flatten(1), δ[[0, 2]], rtol=0, atol=1e-12)


def test_weights_change_the_path_and_all_factors_one_do_not():
    model = SmallNet()
    x, goal = images_and_goal(model, "labels")
    options = {"radius": 0.3, "max_iterations": 10, "stop_on_success": False}
    paths = {}
    for name, extra in {"none": {}, "ones": {"factors": torch.ones(6, 6)}, "spw": {"weights": "spw"}}.items():
        seen = Seen(model)
        ml_cw_descent(seen, x, goal, **options, **extra)
        paths[name] = seen.images[-1]
    assert torch.equal(paths["none"], paths["ones"])
    assert not torch.allclose(paths["none"], paths["spw"], rtol=0, atol=1e-6)


def test_trace_and_bad_settings():
    model, x = random_affine(), mid_grey(2)
    goal = TopKEquals(torch.eye(6)[:2], 1, present=torch.eye(6)[2:4])
    result = ml_cw_descent(model, x, goal, max_iterations=4, stop_on_success=False, trace=("hinges", "threshold"))
    assert {name: values.shape for name, values in result.trace.items()} == {"hinges": (2, 5), "threshold": (2, 5)}
    for options, message in (
        ({"factors": -torch.ones(2, 6)}, "factors have shape"),
        ({"factors": torch.ones(3, 6)}, r"factors have shape \(3, 6\)"),
        ({"weights": "soft"}, "weights is 'soft'"),
        ({"trace": ("slack",)}, "trace is 'slack'"),
        ({"learning_rate": 0}, "learning_rate is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            ml_cw_descent(model, x, goal, **options)
