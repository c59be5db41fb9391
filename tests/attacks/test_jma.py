"""JMA: exactly optimal on affine models, Algorithm 1's bookkeeping, and its forms against each other."""

import itertools

import pytest
import torch
from scipy.linalg import hadamard

from flipbook.attacks.jma import jma
from flipbook.goals import ClassTarget, HideLabels, LabelVector
from flipbook.solvers.nonnegative_qp import gram, solve_nonnegative_qp
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.plain_jma import plain_jma

κ = 1e-6


def orthogonal_affine(outputs=6, m=108, seed=0):
    g = torch.Generator().manual_seed(seed)
    rows, _ = torch.linalg.qr(torch.randn(m, outputs, generator=g, dtype=torch.float64))
    return Affine(
        rows.T * torch.rand(outputs, 1, generator=g, dtype=torch.float64).add(0.5), torch.zeros(outputs)
    ).eval()


def delta(result, images):
    return (result.images - images).flatten(1)


def test_orthogonal_labels_closed_form():
    """δ = Σ over wrong labels of y_j |z_j| J_j / ‖J_j‖² (search off: it would keep 64/64 of the step)."""
    model, x = orthogonal_affine(), mid_grey(8)
    z = model(x)
    wrong = torch.rand(z.shape, generator=torch.Generator().manual_seed(5)) < 0.5
    wrong[:, 0] = True
    result = jma(model, x, LabelVector((z > 0) ^ wrong), kappa=κ)
    expected = -(z * wrong / (model.W**2).sum(1)) @ model.W
    assert result.reached.all()
    torch.testing.assert_close(delta(result, x), expected, atol=1e-5, rtol=1e-4)


def test_identity_jacobian_one_hot_waterfilling():
    """Raise z_t and cut the larger logits to a level θ with θ - z_t = Σ max(z_i - θ, 0)."""
    model = Affine(torch.eye(12), -torch.ones(12)).eval()
    x = mid_grey(6, shape=(3, 2, 2))
    z, t = model(x), torch.arange(6)
    result = jma(model, x, ClassTarget(t), kappa=κ, search_steps=0)
    reached = model(x + delta(result, x).view_as(x))
    for n in range(6):
        low, high = z[n, t[n]], z[n].max()
        for _ in range(60):
            θ = (low + high) / 2
            low, high = (θ, high) if θ - z[n, t[n]] < (z[n] - θ).clamp(min=0).sum() else (low, θ)
        expected = torch.minimum(z[n], θ)
        expected[t[n]] = θ
        torch.testing.assert_close(reached[n], expected, atol=1e-5, rtol=0)


def test_one_active_constraint_is_deepfools_step():
    model, x = random_affine(outputs=2), mid_grey(5)
    z = model(x)
    t = z.argmin(dim=1)
    result = jma(model, x, ClassTarget(t), kappa=κ)
    D = model.W[t] - model.W[1 - t]
    gap = (z.gather(1, 1 - t[:, None]) - z.gather(1, t[:, None])).squeeze(1)
    expected = (gap / (D**2).sum(1))[:, None] * D
    torch.testing.assert_close(delta(result, x), expected, atol=1e-5, rtol=1e-4)


def test_full_codebook_equals_simplified_label_form():
    model, x = random_affine(outputs=4), mid_grey(8)
    code = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
    t = torch.arange(8)
    # the label form asks each label for κ, a codeword at distance 1 leads by 2 z_j: hence 2 κ
    by_label = jma(model, x, LabelVector(code[t] > 0), kappa=κ)
    by_code = jma(model, x, ClassTarget(t, code), kappa=2 * κ)
    torch.testing.assert_close(by_label.images, by_code.images, atol=1e-6, rtol=0)


def test_affine_models_are_one_shot_with_a_margin():
    model, x = random_affine(), mid_grey(8)
    z = model(x)
    result = jma(model, x, LabelVector(~(z > 0)), kappa=1e-3)
    assert result.iterations.tolist() == [6] * 8
    assert result.forwards.tolist() == [1 + 2 + 6] * 8
    assert result.backwards.tolist() == [6] * 8
    assert result.first_success.tolist() == [1 + 2 + 6] * 8


def curved_case(n=16):
    model, x = SmallNet(gain=3.0), mid_grey(n, shape=(3, 8, 8))
    present = model(x) > 0
    flip = torch.zeros_like(present)
    flip[:, :2] = True
    return model, x, LabelVector(present ^ flip)


def test_one_shot_share_does_not_depend_on_the_step():
    model, x, goal = curved_case()
    shares = [(jma(model, x, goal, step=ε, max_iterations=40).iterations == 6) for ε in (0.02, 0.1, 0.5)]
    assert torch.equal(shares[0], shares[1])
    assert torch.equal(shares[0], shares[2])
    assert not shares[0].all()


def test_search_returns_a_tested_64th():
    model, x, goal = curved_case()
    full = jma(model, x, goal, step=0.2, max_iterations=1, search_steps=0)
    found = jma(model, x, goal, step=0.2, max_iterations=1)
    won = found.reached.nonzero().flatten()
    assert len(won)
    for n in won.tolist():
        fraction = (delta(found, x)[n].norm() / delta(full, x)[n].norm()).item() * 64
        assert abs(fraction - round(fraction)) < 1e-6
        below = x[n] + (found.images[n] - x[n]) * (round(fraction) - 1) / round(fraction)
        if round(fraction) > 1:
            assert not goal[n : n + 1].reached(model(below[None])).item()


def test_hand_count_of_passes_over_several_linearisations():
    model, x, goal = curved_case()
    result = jma(model, x, goal, step=0.05, max_iterations=60)
    loops = torch.where(result.reached, result.iterations - 6 + 1, result.iterations)
    assert loops.max() > 1
    assert torch.equal(result.backwards, 6 * loops)
    assert torch.equal(result.forwards, 1 + 2 * loops + 6 * result.reached)


@pytest.mark.parametrize(
    "option", [{"step": 0.4}, {"max_iterations": 2}, {"kappa": 0.5}, {"search_steps": 1}, {"cap_step": False}]
)
def test_every_option_matters(option):
    model, x, goal = curved_case()
    base = {"step": 0.02 if "step" in option else 1.0, "max_iterations": 30}
    assert not torch.equal(jma(model, x, goal, **base).images, jma(model, x, goal, **(base | option)).images)


def test_chunks_agree():
    model, x, goal = curved_case()
    base = jma(model, x, goal, step=0.1, max_iterations=15, kappa=1e-3)
    other = jma(model, x, goal, step=0.1, max_iterations=15, kappa=1e-3, chunk=3)
    torch.testing.assert_close(other.images, base.images, atol=1e-6, rtol=0)
    assert torch.equal(other.iterations, base.iterations)


def test_constraint_generation_is_exact_and_cheaper():
    model, x = random_affine(outputs=50), mid_grey(6)
    t = (model(x).argmax(dim=1) + 1) % 50
    full = jma(model, x, ClassTarget(t), kappa=1e-3, working_set=49)
    few = jma(model, x, ClassTarget(t), kappa=1e-3, working_set=4)
    torch.testing.assert_close(few.images, full.images, atol=1e-9, rtol=0)
    assert (few.backwards < full.backwards).all()


def test_satisfied_code_constraints_on_logits_continue_through_tanh():
    """Z . c_t leads, tanh(z) . c_t does not: the decision must still be reached."""
    code = torch.from_numpy(hadamard(8)[:6]).double()
    z = 3 * torch.randn(2000, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = (z @ code.T).argmax(dim=1)
    z, t = (v[(z.tanh() @ code.T).argmax(dim=1) != t][:16] for v in (z, t))
    assert len(z) == 16
    x = mid_grey(16, shape=(8, 1, 1))
    for n in range(16):
        model = Affine(8 * torch.eye(8), z[n] - 8 * x[n].flatten()).eval()  # gives the logits z[n] at x[n]
        goal = ClassTarget(t[n : n + 1], code)
        result = jma(model, x[n : n + 1], goal, kappa=1e-4)
        assert result.reached.item()
        assert goal.reached(model(result.images)).item()


def test_an_impossible_goal_fails_alone():
    """Two labels with the same logit: wanting one on and the other off is infeasible; the neighbour is not harmed."""
    W = torch.randn(1, 108, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, x = Affine(torch.cat([W, W])).eval(), mid_grey(2)
    result = jma(model, x, LabelVector(torch.tensor([[1, 0], [1, 1]])), kappa=1e-6)
    assert result.reached.tolist() == [False, True]
    assert result.iterations[0] == 1
    assert result.first_success[0] == -1
    assert torch.isfinite(result.images).all()


def test_a_failure_returns_its_closest_attempt():
    model, x, goal = curved_case()
    result = jma(model, x, goal, step=1e-3, max_iterations=2)
    before, after = goal.violations(model(x)), goal.violations(model(result.images))
    assert (after <= before).all()
    assert (after < before)[~result.reached].any()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"step": 0}, "step is 0: it must be above 0"),
        ({"kappa": -1}, "kappa is -1: it must be 0 or above"),
        ({"max_iterations": 0}, "max_iterations is 0"),
    ],
)
def test_bad_options(option, message):
    model, x, goal = curved_case(2)
    with pytest.raises(ValueError, match=message):
        jma(model, x, goal, **option)


class HandWritten(torch.autograd.Function):
    """SiLU with a backward pass that has no gradient of its own."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.nn.functional.silu(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return g * s * (1 + x * (1 - s))


class Skipping(torch.nn.Module):
    """Many labels behind an activation, with a plain path beside it so that a second gradient exists but is wrong."""

    def __init__(self, act, skip=0.1, outputs=60):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.first, self.last = (torch.randn(*shape, generator=g).double() for shape in ((40, 108), (outputs, 40)))
        self.act, self.skip = act, skip

    def forward(self, x):
        y = (x.flatten(1) - 0.5) @ self.first.T
        return (self.skip * y + 2 * self.act(y)) @ self.last.T / 10


@pytest.mark.parametrize("skip", [0.1, 0.0])
def test_a_backward_pass_that_cannot_be_differentiated_gets_all_rows(skip):
    x = mid_grey(5)
    right, hand = Skipping(torch.nn.functional.silu, skip).eval(), Skipping(HandWritten.apply, skip).eval()
    z = right(x)
    goal = LabelVector((z > 0) ^ (torch.arange(60) < 3))
    full = jma(hand, x, goal, working_set=60)
    with pytest.warns(UserWarning, match="cannot be differentiated"):
        found = jma(hand, x, goal)
    torch.testing.assert_close(found.images, full.images, atol=1e-9, rtol=0)
    assert found.reached.all()
    few = jma(right, x, goal)
    torch.testing.assert_close(few.images, full.images, atol=1e-6, rtol=0)
    assert (few.backwards < found.backwards).all()


def test_with_many_labels_hidden_ones_really_go():
    """60 labels of which 45 are free: no infinite offset may hide a violated constraint."""
    model, x = random_affine(60, (3, 16, 16)), mid_grey(4, (3, 16, 16))
    hidden = torch.zeros(4, 60, dtype=torch.bool)
    hidden[:, :45] = True
    hidden[0, 43:] = False  # an image has fewer than its neighbours
    goal = HideLabels(hidden)
    for working_set in (None, 60):
        result = jma(model, x, goal, search_steps=0, kappa=1e-6, working_set=working_set)
        assert result.reached.all()
        assert (goal.margins(model(x + delta(result, x).view_as(x))) > 0).all()
        assert result.iterations.tolist() == [0] * 4  # linearisations before the last


@pytest.mark.parametrize("labels", [20, 40, 60])
def test_rows_that_do_not_exist_cost_no_pass(labels):
    model, x = random_affine(outputs=labels), mid_grey(4)
    hidden = model(x) == model(x).amax(dim=1, keepdim=True)
    hidden[3] |= model(x)[3] == model(x)[3].amin()
    result = jma(model, x, HideLabels(hidden), kappa=1e-6)
    assert result.backwards.tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("outputs", [2, 10, 60])
def test_defaults_are_optimal_on_affine_models(outputs):
    model, x = random_affine(outputs, (3, 16, 16)), mid_grey(16, (3, 16, 16))
    z = model(x)
    furthest = z.abs() == z.abs().amax(dim=1, keepdim=True)
    for goal in (LabelVector((z > 0) ^ furthest), ClassTarget(z.argmin(dim=1)), HideLabels(z > 0)):
        result, rows = jma(model, x, goal), goal.constraints(z)
        D = rows.matrix(outputs) @ model.W
        λ, _ = solve_nonnegative_qp(gram(D), rows.offsets)
        best = (λ[:, None] @ D).squeeze(1)
        inside = ((x + best.view_as(x)).sub(0.5).abs() <= 0.5).flatten(1).all(dim=1) & (best.norm(dim=1) > 0)
        assert inside.any()
        assert result.reached.all()
        assert (delta(result, x).norm(dim=1) <= 1.01 * best.norm(dim=1))[inside].all()


def test_a_failed_batch_never_asks_the_model_about_no_image():
    model, x, goal = curved_case(3)

    def shaped(v):
        return model(v.view(v.size(0), -1).view(-1, 3, 8, 8))

    assert not jma(shaped, x, goal, step=1e-6, max_iterations=1, kappa=0.0, search_steps=2).reached.any()


def test_every_image_that_the_model_sees_is_in_the_box():
    model, x = SmallNet(gain=3.0), torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).round().double()
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) < 3))

    def boxed(v):
        assert v.min() >= 0
        assert v.max() <= 1
        return model(v)

    result = jma(boxed, x, goal, step=0.3, max_iterations=10, cap_step=False)
    assert result.iterations.max() > 1


def _reached(model, goal, x):
    return bool(goal.reached(model(x[None])))


@pytest.mark.parametrize("kind", ["labels", "one-hot"])
@pytest.mark.parametrize("step", [0.05, 0.3])
def test_algorithm_1_image_by_image(kind, step):
    model, images = SmallNet(gain=6.0), mid_grey(5, shape=(3, 8, 8))
    z, linearisations = model(images), 0
    wanted, target = (z > 0) ^ (torch.arange(6) < 3), z.argmin(dim=1)
    for n in range(5):
        one = {"wanted": wanted[n]} if kind == "labels" else {"target": int(target[n])}
        goal = LabelVector(wanted[n : n + 1]) if kind == "labels" else ClassTarget(target[n : n + 1])
        options = {"step": step, "max_iterations": 12, "search_steps": 6, "kappa": 1e-4}
        result = jma(model, images[n : n + 1], goal, cap_step=False, **options)
        expected, v = plain_jma(
            model, images[n], lambda x, goal=goal: bool(goal.reached(model(x[None]))), **options, **one
        )
        linearisations += v
        assert result.reached.item() == (expected is not None)
        assert int(result.iterations) == (v - 1 + 6 if expected is not None else v)
        if expected is not None:
            torch.testing.assert_close(result.images[0], expected, rtol=0, atol=1e-7)
    assert linearisations > 5
