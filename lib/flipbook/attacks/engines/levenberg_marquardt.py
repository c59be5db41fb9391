"""MADW as a method that attacks: damped least squares on the violated constraints."""

import torch
from torch import Tensor

from flipbook.attacks.engines.norm_balls import into_ball
from flipbook.attacks.engines.self_paced import Pace, quantities
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.gradients import row_gradients
from flipbook.core.pass_counter import PassCounter
from flipbook.goals import Constraints, Goal, equally_many, first_marked
from flipbook.solvers.damped_least_squares import Damping, damped_multipliers
from flipbook.solvers.nonnegative_qp import gram

SLICE = 1024  # constraints whose gradients are formed at a time, where there are more of them than pixels


def attack(
    model,
    images: Tensor,
    goal: Goal,
    *,
    pace: Pace,
    rule: Damping,
    λ: Tensor,
    margin: float,
    radius: float,
    max_iterations: int,
    stop_on_success: bool,
    chunk: int,
    trace: tuple[str, ...],
) -> AttackResult:
    """Repeat: one damped step, into the ball, into the box; then the rules for ε, λ_D and w (Algorithm S.1).

    The arguments are those of `madw`, checked, with λ (N, M) or (N, 1), the factors of the constraints. The damping of
    a step is λ_D times the mean of λ w ||∇ζ||² over the violated constraints.
    """
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    kept = {name: images.new_full((len(images), max_iterations + 1), torch.nan) for name in trace}
    x0, goal, λ = (each[best.rows] for each in (images, goal, λ))
    x, z, state = x0, best.logits[best.rows], pace.start(x0)
    damping = images.new_full((len(x),), rule.start)
    for v in range(max_iterations + 1):
        if not len(x):
            break
        ζ, w = (margin - goal.margins(z)).clamp(min=0), state.weights
        L = (λ * w * ζ.square()).sum(dim=1) / 2
        if v == 0:
            state.lowest = L[:, None]  # the clean image sets what the first step is to lower
        else:
            damping = rule.after(damping, state.lowest[:, 0] > L)
            state = pace.after(state, ζ, L)
        noted = quantities(L, L, w, state, ζ)
        for name, values in kept.items():
            values[best.rows, v] = noted[name].to(values)
        stays = ((goal.violations(z) > 0) | (not stop_on_success)).nonzero().flatten()
        if len(stays) < len(x):
            best.keep(stays)
            x0, goal, λ, x, z, ζ, damping = (each[stays] for each in (x0, goal, λ, x, z, ζ, damping))
            state = state[stays]
        if v == max_iterations or not len(x):
            break
        δ = x - x0 + _steps(best, x, goal.constraints(z), ζ, λ * state.weights, damping, chunk)
        x = (x0 + into_ball(δ, radius)).clamp(0, 1)
        with torch.no_grad():
            z = net.focus(best.rows)(x)
        best.update(x, goal.violations(z), l2_norm(x - x0), v + 1, net.total[best.rows])
    result = best.result()
    result.trace = kept
    return result


def _steps(
    best: BestSoFar, x: Tensor, A: Constraints, ζ: Tensor, weights: Tensor, damping: Tensor, chunk: int
) -> Tensor:
    """The step of every image, like x; 0 where no constraint is violated.

    All rows of the constraints' Jacobian A J are combinations of the gradients of a few logits, which are what costs.
    """
    net, step, active, weights = best.net, torch.zeros_like(x), ζ > 0, weights.expand_as(ζ)
    for part, labels in equally_many(A.reads(active, best.logits.shape[1]), chunk):
        with torch.enable_grad():
            pixels = x[part].requires_grad_()
            logits = net.focus(best.rows[part])(pixels)
        G = row_gradients(net, logits, pixels, Constraints.one_label_each(torch.ones_like(logits)).pick(labels))
        violated = first_marked(active[part], int(active[part].sum(dim=1).max()))
        ζ_, w_, counts = (each[part].gather(1, violated) for each in (ζ, weights * active, active))
        own = A[part].pick(violated).among(labels, logits.shape[1])
        solve = _by_rows if own.offsets.shape[1] <= x[0].numel() else _by_pixels
        step[part] = solve(own, G.flatten(2), ζ_, w_, damping[part], counts).view_as(pixels)
    return step


def _by_rows(A: Constraints, G: Tensor, ζ: Tensor, w: Tensor, damping: Tensor, counts: Tensor) -> Tensor:
    """Jᵀ (J Jᵀ + λ_D W⁻¹)⁻¹ ζ with J = A G, from as many unknowns as there are constraints."""
    K = A.matrix(G.shape[1]).double()
    Q = K @ gram(G) @ K.transpose(1, 2)
    scale = (w * Q.diagonal(dim1=1, dim2=2)).sum(dim=1) / counts.sum(dim=1)
    y = damped_multipliers(Q, ζ, w, damping * scale.clamp(min=1e-30), counts)
    return ((y[:, None, :] @ K).to(G) @ G).squeeze(1)


def _by_pixels(A: Constraints, G: Tensor, ζ: Tensor, w: Tensor, damping: Tensor, counts: Tensor) -> Tensor:
    """The same as (Jᵀ W J + λ_D)⁻¹ Jᵀ W ζ, where pixels are fewer than constraints: J is formed a slice at a time."""
    m = G.shape[2]
    Q, rhs = (G.new_zeros(len(G), m, width, dtype=torch.float64) for width in (m, 1))
    for rows in torch.arange(ζ.shape[1], device=ζ.device).split(SLICE):
        part, weight = A.pick(rows.expand(len(G), -1)), w[:, rows, None].double()
        J = sum(
            part.weights[:, :, i, None].double() * G.gather(1, part.labels[:, :, i, None].expand(-1, -1, m))
            for i in range(part.labels.shape[2])
        )
        weighted = (weight * J).transpose(1, 2)
        Q.baddbmm_(weighted, J)
        rhs.baddbmm_(weighted, ζ[:, rows, None].double())
    scale = Q.diagonal(dim1=1, dim2=2).sum(dim=1) / counts.sum(dim=1)
    Q.diagonal(dim1=1, dim2=2).add_((damping * scale.clamp(min=1e-30))[:, None])
    L, _ = torch.linalg.cholesky_ex(Q)
    step = torch.cholesky_solve(rhs, L).squeeze(2)
    return torch.where(step.isfinite().all(dim=1, keepdim=True), step, 0.0).to(G)
