"""ML-DeepFool: one step in closed form on affine models, both modes, what it pays for, and when an image leaves."""

import pytest
import torch
from torch import nn

from flipbook.attacks.ml_deepfool import ml_deepfool
from flipbook.goals import ClassTarget, HideLabels, LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.cases import CODE


@pytest.mark.parametrize("mode", ["all", "violated"])
def test_one_step_of_closed_form_norm_on_an_affine_model(mode):
    """The step is the pseudo-inverse's: norm² = tᵀ (A Aᵀ)⁻¹ t over the labels served, which end at the margin."""
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    goal = LabelVector((z > 0) ^ (torch.arange(6) < 2))
    steps = 1 if mode == "violated" else 100  # a step for few labels moves the others: more may come
    result = ml_deepfool(model, x, goal, mode=mode, margin=0.05, damping=1e-12, max_iterations=steps)
    assert result.reached.all()
    assert result.iterations.tolist() == [1] * 4
    for n in range(4):
        y = goal.signs[n].double()
        t = 0.05 - y * z[n]
        served = t > 0 if mode == "violated" else torch.ones(6).bool()
        A = (y[:, None] * model.W)[served]
        r = torch.linalg.pinv(A) @ t[served]
        torch.testing.assert_close((result.images[n] - x[n]).flatten(), r, atol=1e-8, rtol=0)
        torch.testing.assert_close(r.norm() ** 2, t[served] @ torch.linalg.inv(A @ A.T) @ t[served])
        torch.testing.assert_close(
            y[served] * model(result.images[n : n + 1])[0, served], torch.full_like(t[served], 0.05)
        )
        assert int(result.backwards[n]) == int(served.sum())
    assert result.forwards.tolist() == [3] * 4
    assert torch.equal(result.first_success, 3 + result.backwards)


def test_one_hidden_label_is_deepfools_step_and_costs_one_backward():
    """Free labels have no row: the step is along the label's gradient, its length the distance to the margin."""
    model, x = random_affine(), mid_grey(5)
    z = model(x)
    hidden = torch.zeros(5, 6).bool().scatter(1, z.argmax(dim=1, keepdim=True), True)
    result = ml_deepfool(model, x, HideLabels(hidden), damping=0.0)
    rows = model.W[z.argmax(dim=1)]
    expected = -(z.amax(dim=1) + 0.05)[:, None] * rows / rows.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close((result.images - x).flatten(1), expected, atol=1e-12, rtol=0)
    assert result.backwards.tolist() == [1] * 5
    assert result.forwards.tolist() == [3] * 5


def test_damping_is_a_share_of_the_mean_diagonal():
    W = random_affine(outputs=2).W
    model, x = Affine(W, torch.tensor([0.2, -0.3])).eval(), mid_grey(1)
    z = model(x)[0]
    y = -z.sign()
    result = ml_deepfool(model, x, LabelVector((y > 0)[None]), damping=0.5, max_iterations=1)
    D = y[:, None] * W
    Q = D @ D.T
    r = D.T @ torch.linalg.solve(Q + 0.5 * Q.trace() / 2 * torch.eye(2).double(), 0.05 - y * z)
    torch.testing.assert_close((result.images - x).flatten(), r, atol=1e-12, rtol=0)


@pytest.mark.parametrize("mode", ["all", "violated"])
@pytest.mark.parametrize("kind", ["hidden", "codebook", "one-hot"])
def test_reaches_other_goals_on_a_network(mode, kind):
    model = SmallNet(outputs=8)
    x = mid_grey(4)
    z = model(x)
    second = z.argsort(dim=1)[:, -2]
    goals = {
        "hidden": HideLabels(z > 0),
        "codebook": ClassTarget((z.tanh() @ CODE.T).argsort(dim=1)[:, -2], CODE),
        "one-hot": ClassTarget(second),
    }
    if kind == "one-hot" and mode == "all":
        pytest.skip("asks for seven equal leads, which an image need not have")
    result = ml_deepfool(model, x, goals[kind], mode=mode)
    assert result.reached.all()
    assert (result.images - x).abs().max() < 0.5


def test_keeps_the_successful_iterate_of_smallest_norm():
    """A margin asked of convex logits is overshot by the first step and taken back by the next ones."""

    class Square(nn.Module):
        def forward(self, x):
            return 4 * x.flatten(1).mean(dim=1, keepdim=True).square() - 0.5

    x = torch.full((1, 1, 2, 2), 0.2, dtype=torch.float64)
    goal = LabelVector(torch.ones(1, 1))
    results = [ml_deepfool(Square().eval(), x, goal, max_iterations=n, damping=0.0) for n in (1, 2, 3, 100)]
    norms = [float((r.images - x).norm()) for r in results]
    assert all(r.reached.all() for r in results)
    assert norms[0] > norms[1] > norms[3]
    assert results[3].iterations == results[3].backwards  # left at once when close to the margin
    assert results[3].iterations < 10
    assert (results[3].first_success == 4).all()


def test_iterates_beyond_the_bound_do_not_count():
    model, x = random_affine(), mid_grey(3)
    goal = LabelVector(model(x) < 0)
    norms = (ml_deepfool(model, x, goal).images - x).flatten(1).norm(dim=1)
    between = float(norms.sort().values[:2].mean())
    bounded = ml_deepfool(model, x, goal, bound=between)
    assert torch.equal(bounded.reached, norms <= between)
    assert torch.equal(bounded.images[~bounded.reached], x[~bounded.reached])
    assert (bounded.first_success[~bounded.reached] == -1).all()


def test_leaves_when_the_box_or_a_missing_gradient_stops_it():
    model, x = random_affine(scale=1e-3), torch.ones(2, 3, 6, 6).double()
    model.b = model.b + 5
    model.W = -model.W.abs()
    result = ml_deepfool(model, x, LabelVector(torch.zeros(2, 6)))
    assert not result.reached.any()
    assert torch.equal(result.images, x)
    assert result.backwards.tolist() == [6, 6]  # the step leads out of the box: clipped to nothing
    flat = Affine(torch.zeros(2, 108), torch.tensor([5.0, 5.0])).eval()
    result = ml_deepfool(flat, x, LabelVector(torch.zeros(2, 2)))
    assert torch.equal(result.images, x)
    assert result.backwards.tolist() == [2, 2]


def test_labels_with_the_same_gradient_need_the_damping():
    W = random_affine(outputs=1).W
    model, x = Affine(torch.cat([W, W])).eval(), mid_grey(2)
    result = ml_deepfool(model, x, LabelVector(model(x) < 0))
    assert result.reached.all()


def test_chunks_change_nothing_but_the_memory():
    model, x = SmallNet(), mid_grey(5)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) == 2))
    for mode in ("all", "violated"):
        whole, parts = (ml_deepfool(model, x, goal, mode=mode, max_iterations=4, chunk=c) for c in (5, 2))
        torch.testing.assert_close(whole.images, parts.images, atol=1e-9, rtol=0)
        assert torch.equal(whole.backwards, parts.backwards)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "greedy"}, "mode is 'greedy'"),
        ({"margin": 0}, "margin is 0"),
        ({"bound": 0}, "bound is 0"),
        ({"damping": -1}, "damping is -1"),
    ],
)
def test_bad_settings(options, message):
    model, x = random_affine(), mid_grey(1)
    with pytest.raises(ValueError, match=message):
        ml_deepfool(model, x, LabelVector(model(x) < 0), **options)
