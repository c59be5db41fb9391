"""ML-DeepFool: one step in closed form on affine models, both modes, what it pays for, and when an image leaves."""

import pytest
import torch
from torch import nn

from flipbook.attacks.ml_deepfool import _least_norm, ml_deepfool
from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.cases import CODE, images_and_goal


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


def ranked(z, targeted):
    """The goal that the lowest two labels come first, or that the highest two do not."""
    order = z.argsort(dim=1)
    low, high = (torch.zeros_like(z).bool().scatter(1, order[:, i], True) for i in (slice(0, 2), slice(-2, None)))
    return TopKEquals(low, 2, present=high) if targeted else TopKExcludes(high, 2)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("scores", ["logit", "probability"])
def test_a_ranking_is_worked_for_label_by_label(targeted, scores):
    """One step of the pseudo-inverse with rows of Y, and of Y_t, towards the threshold; the others have none."""
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    goal = ranked(z, targeted)
    own = goal.present | goal.target if targeted else goal.present
    options = {"rows": "labels", "scores": scores, "margin": 0.0, "damping": 1e-12, "max_iterations": 1}
    seen = Seen(model)
    result = ml_deepfool(seen, x, goal, **options)
    assert torch.equal(result.backwards, own.sum(dim=1))
    for n in range(4):
        W, q = model.W[own[n]], -z[n, own[n]]
        if scores == "probability":
            p = z[n, own[n]].sigmoid()
            W, q = (p * (1 - p))[:, None] * W, 0.5 - p
        torch.testing.assert_close((seen.x[-1][n] - x[n]).flatten(), torch.linalg.pinv(W) @ q, atol=1e-8, rtol=0)


class Seen(nn.Module):
    """Remembers the images that it was asked about."""

    def __init__(self, model):
        super().__init__()
        self.model, self.x = model, []
        self.eval()

    def forward(self, x):
        self.x.append(x.detach())
        return self.model(x)


def test_probabilities_make_a_step_sinh_z_long():
    """(f - 1/2) / sigmoid'(z) = sinh z, with f the sigmoid."""
    model, x = Seen(Affine(random_affine(outputs=1).W, torch.tensor([0.7])).eval()), mid_grey(3)
    z = model(x)[:, 0]
    options = {"scores": "probability", "margin": 0.0, "damping": 0.0, "max_iterations": 1}
    ml_deepfool(model, x, LabelVector(z[:, None] < 0), **options)
    length = (model.x[-1] - x).flatten(1).norm(dim=1)
    torch.testing.assert_close(length, z.sinh().abs() / model.model.W.norm(), atol=1e-12, rtol=1e-9)


def test_equality_draws_labels_back_to_the_threshold():
    """A label of Y that is off already ends exactly on it, as one that was on; `violated` leaves it alone."""
    model, x = Seen(random_affine()), mid_grey(1)
    z = model(x)
    on, off = int(z.argmax()), int(z.argmin())
    goal = TopKExcludes(torch.zeros(1, 6).scatter(1, torch.tensor([[on, off]]), 1.0), 2)
    options = {"rows": "labels", "margin": 0.0, "damping": 0.0, "max_iterations": 1}
    ml_deepfool(model, x, goal, **options)
    torch.testing.assert_close(model(model.x[-1])[0, [on, off]], torch.zeros(2).double(), atol=1e-12, rtol=0)
    result = ml_deepfool(model, x, goal, mode="violated", **options)
    assert int(result.backwards) == 1
    assert model(model.x[-1])[0, off].abs() > 1e-3


def test_the_ball_is_kept_to_and_nothing_else_changes_within_it():
    model, x = random_affine(), mid_grey(4)
    goal = LabelVector(model(x) < 0)
    free = ml_deepfool(Seen(model), x, goal)
    norms = (free.images - x).flatten(1).norm(dim=1)
    wide = ml_deepfool(model, x, goal, radius=2 * float(norms.max()))
    torch.testing.assert_close(wide.images, free.images, atol=1e-12, rtol=0)
    seen = Seen(model)
    ml_deepfool(seen, x, goal, radius=0.5 * float(norms.min()), max_iterations=1)
    scaled = (free.images - x) * (0.5 * norms.min() / norms).view(-1, 1, 1, 1)
    torch.testing.assert_close(seen.x[-1], x + scaled, atol=1e-9, rtol=0)


def test_leaves_at_its_first_success_if_asked_to():
    model, x = SmallNet(), mid_grey(4)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) == 1))
    going_on, leaving = (
        ml_deepfool(model, x, goal, stop_on_success=stop_on_success) for stop_on_success in (False, True)
    )
    assert leaving.reached.all()
    assert torch.equal(leaving.first_success, going_on.first_success)
    assert torch.equal(leaving.first_success, leaving.forwards + leaving.backwards)
    assert (leaving.first_success < going_on.forwards + going_on.backwards).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "greedy"}, "mode is 'greedy'"),
        ({"margin": -0.1}, r"margin is -0\.1"),
        ({"bound": 0}, "bound is 0"),
        ({"radius": 0}, "radius is 0"),
        ({"rows": "label"}, "rows is 'label'"),
        ({"scores": "p"}, "scores is 'p'"),
        ({"damping": -1}, "damping is -1"),
    ],
)
def test_bad_settings(options, message):
    model, x = random_affine(), mid_grey(1)
    with pytest.raises(ValueError, match=message):
        ml_deepfool(model, x, LabelVector(model(x) < 0), **options)


@pytest.mark.parametrize("kind", ["excluded", "ranked"])
def test_on_the_boundary_itself_no_image_depends_on_its_neighbours(kind):
    """As MASW runs it, without a margin: rounding must neither decide success nor keep an image walking."""
    model = SmallNet()
    x, goal = images_and_goal(model, kind)
    options = {"rows": "labels", "margin": 0.0, "scores": "probability", "stop_on_success": True, "max_iterations": 20}
    together = ml_deepfool(model, x, goal, **options)
    for n in range(len(x)):
        alone = ml_deepfool(model, x[n : n + 1], goal[n : n + 1], **options)
        torch.testing.assert_close(alone.images[0], together.images[n], atol=1e-6, rtol=0)
        assert alone.reached[0] == together.reached[n]
        assert alone.iterations[0] == together.iterations[n]
    clear = (goal.margins(model(together.images)).abs() > 1e-6).all(dim=1)
    assert (clear | ~together.reached).all()


def test_few_pixels_and_many_rows_give_the_same_step():
    """Beyond as many rows as pixels the system is solved for the pixels: against least squares with the same ridge."""
    g = torch.Generator().manual_seed(0)
    for rows in (4, 9, 23):
        D = torch.randn(2, rows, 9, generator=g, dtype=torch.float64)
        t = torch.randn(2, rows, generator=g, dtype=torch.float64)
        ridge = 1e-3 * D.square().sum(dim=(1, 2)) / rows
        system = D @ D.transpose(1, 2) + ridge[:, None, None] * torch.eye(rows)
        expected = (D.transpose(1, 2) @ torch.linalg.solve(system, t[:, :, None])).squeeze(2)
        torch.testing.assert_close(_least_norm(D, t, 1e-3), expected, rtol=0, atol=1e-9)
