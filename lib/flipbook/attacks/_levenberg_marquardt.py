"""MADW as a method that attacks: damped least squares on the violated constraints."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from flipbook.attacks._ball import into_ball
from flipbook.attacks._batch import l2_norm
from flipbook.attacks._record import Record
from flipbook.attacks._self_paced import Pace, quantities
from flipbook.goals import Goal
from flipbook.gradients import row_gradients
from flipbook.passes import Counted
from flipbook.perturbed import Perturbed
from flipbook.solvers.damped_least_squares import Damping, damped_multipliers
from flipbook.solvers.nonnegative_qp import gram


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
    leave: bool,
    chunk: int,
    trace: tuple[str, ...],
) -> Perturbed:
    """Repeat: one damped step, into the ball, into the box; then the rules for ε, λ_D and w (Algorithm S.1).

    The arguments are those of `madw`, checked, with λ (N, M) or (N, 1), the factors of the constraints. The damping of
    a step is λ_D times the mean of λ w ||∇ζ||² over the violated constraints.
    """
    net = Counted(model, images)
    record = Record(net, images, goal)
    kept = {name: images.new_full((len(images), max_iterations + 1), torch.nan) for name in trace}
    x0, goal, λ = (each[record.rows] for each in (images, goal, λ))
    x, z, state = x0, record.logits[record.rows], pace.start(x0)
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
            values[record.rows, v] = noted[name].to(values)
        stays = ((goal.distance(z) > 0) | (not leave)).nonzero().flatten()
        if len(stays) < len(x):
            record.keep(stays)
            x0, goal, λ, x, z, ζ, damping = (each[stays] for each in (x0, goal, λ, x, z, ζ, damping))
            state = state[stays]
        if v == max_iterations or not len(x):
            break
        δ = x - x0 + _steps(net, record.rows, x, goal.constraints(z)[0], ζ, λ * state.weights, damping, chunk)
        x = (x0 + into_ball(δ, radius)).clamp(0, 1)
        with torch.no_grad():
            z = net.focus(record.rows)(x)
        record.update(x, goal.distance(z), l2_norm(x - x0), v + 1, net.total[record.rows])
    result = record.result()
    result.trace = kept
    return result


def _steps(
    net: Counted, rows: Tensor, x: Tensor, A: Tensor, ζ: Tensor, weights: Tensor, damping: Tensor, chunk: int
) -> Tensor:
    """The step of every image, like x. Images whose violated constraints read equally many labels work together.

    All rows of the constraints' Jacobian A J are combinations of the gradients of a few logits, which are what costs.
    """
    step, active, weights = torch.zeros_like(x), ζ > 0, weights.expand_as(ζ)
    reads = ((A != 0) & active[:, :, None]).any(dim=1)
    number = reads.sum(dim=1)
    for q in number.unique().tolist():
        for part in (number == q).nonzero().flatten().split(chunk) if q else ():
            labels, constraints = _first(reads[part]), _first(active[part])
            with torch.enable_grad():
                pixels = x[part].requires_grad_()
                logits = net.focus(rows[part])(pixels)
            G = row_gradients(net, logits, pixels, one_hot(labels, A.shape[2])).flatten(2)
            K = A[part].gather(1, constraints[:, :, None].expand(-1, -1, A.shape[2]))
            K = K.gather(2, labels[:, None, :].expand(-1, K.shape[1], -1)).double()
            ζ_, w_, counts = (each[part].gather(1, constraints) for each in (ζ, weights * active, active))
            Q = K @ gram(G) @ K.transpose(1, 2)
            scale = (w_ * Q.diagonal(dim1=1, dim2=2)).sum(dim=1) / counts.sum(dim=1)
            y = damped_multipliers(Q, ζ_, w_, damping[part] * scale.clamp(min=1e-30), counts)
            step[part] = ((y[:, None, :] @ K).to(G) @ G).view_as(pixels)
    return step


def _first(mask: Tensor) -> Tensor:
    """Indices (n, q) of the entries that a mask (n, M) marks, in order; rows with fewer than q are filled up."""
    return mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, : int(mask.sum(dim=1).max())]
