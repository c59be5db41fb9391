"""MADW as its supplement prints it: damped least squares on how far its stationarity condition is from 0.

    L(z, v, η, ς) = ½ ||(Jᵀ D(v w) J + Σ_i ζ_i w_i ∇² CT_i) η - ς z||²                                     (S.12)

with J the Jacobian of the constraints CT. As printed the product is Jᵀ D(w) Jᵀ D(w), whose shapes do not fit; Theorem
3, which it comes from, has J and v there. L is one number, so that J(L) is one row and the step (S.15) has a closed
form. L is 0 for η = 0 and ς = 0 too, and nothing in it asks for an attack: that is what this form is kept to show.
"""

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius, into_ball
from flipbook.attacks.engines.self_paced import Pace, check_trace, quantities
from flipbook.attacks.masw import constraint_factors
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.gradients import differentiable_twice
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, normal
from flipbook.core.validation import check_counts, check_inputs
from flipbook.goals import Goal
from flipbook.solvers.damped_least_squares import Damping

BACKWARDS = 4  # gradients an iteration; the last three go through the graph of the one before


@attack
def madw_printed(
    model,
    images: Tensor,
    goal: Goal,
    *,
    lam1: float = 0.5,
    lam2: float = 0.5,
    eta: float = 1.015,
    eps0: float = 0.01,
    weights: str = "spw",
    f_in: float = 1.5,
    f_de: float = 5.0,
    damping: float = 1.0,
    radius: float | None = None,
    max_iterations: int = 300,
    stop_on_success: bool = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat (S.15) for all four variables, then the ball, the box, 0 <= v <= 1, ς >= 0 and the rules of `madw`.

    Not published, so ours: z = 0, v = 1, ς = 1 and a random η of norm 1, keyed by the image, to start with. z, η and
    `damping`, λ_D at the start, are in [0, 1] units. All else, and what is returned, as for `flipbook.attacks.madw`;
    a step costs 1 forward and 4 backward passes.
    """
    pace, rule, λ = Pace(weights, eta, eps0), Damping(damping, f_in, f_de), constraint_factors(images, goal, lam1, lam2)
    radius = default_radius(goal, radius)
    check_inputs(model, images, goal)
    check_counts(max_iterations=max_iterations)
    check_trace(trace)
    images = images.detach()
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    kept = {name: images.new_full((len(images), max_iterations + 1), torch.nan) for name in trace}
    x0, goal, λ = (each[best.rows] for each in (images, goal, λ))
    constraints = goal.margins(best.logits[best.rows]).shape[1] if len(x0) else 0
    z, (v, η, ς) = torch.zeros_like(x0), _start(x0, constraints)
    state, damping = pace.start(x0), images.new_full((len(x0),), rule.start)
    for t in range(max_iterations + 1):
        if not len(x0):
            break
        x = (x0 + z).clamp(0, 1)
        w = state.weights
        L, slopes, logits, ζ = _stationarity(net, x, x - x0, v, η, ς, goal, λ * w)
        violations = goal.violations(logits)
        best.update(x, violations, l2_norm(x - x0), t, net.total[best.rows])
        if t == 0:
            state.lowest = L[:, None]
        else:
            damping = rule.after(damping, state.lowest[:, 0] > L)
            state = pace.after(state, ζ, L)
        noted = quantities(L, L, w, state, ζ)
        for name, values in kept.items():
            values[best.rows, t] = noted[name].to(values)
        δ = _step(L, torch.cat([each.flatten(1) for each in slopes], dim=1), damping)
        dz, dv, dη, dς = δ.split([each[0].numel() for each in slopes], dim=1)
        z = into_ball(x - x0 + dz.view_as(z), radius)
        v, η, ς = (v + dv).clamp(0, 1), η + dη.view_as(η), (ς + dς).clamp(min=0)
        stays = ((violations > 0) | (not stop_on_success)).nonzero().flatten()
        if len(stays) < len(x0):
            best.keep(stays)
            x0, goal, λ, state, damping = (each[stays] for each in (x0, goal, λ, state, damping))
            z, v, η, ς = (each[stays] for each in (z, v, η, ς))
    result = best.result()
    result.trace = kept
    return result


def _start(x0: Tensor, constraints: int) -> tuple[Tensor, Tensor, Tensor]:
    """V (n, M), η like the images and ς (n, 1)."""
    η = normal(keys(x0), x0[0].numel() if len(x0) else 0, stream=0).to(x0).view_as(x0)
    return x0.new_ones(len(x0), constraints), η / batch_view(l2_norm(η), η), x0.new_ones(len(x0), 1)


def _stationarity(
    net: PassCounter, x: Tensor, z: Tensor, v: Tensor, η: Tensor, ς: Tensor, goal: Goal, weights: Tensor
) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    """L (n,), its slopes in z, v, η and ς, the logits and the slack at x; net is passed by, to count all gradients."""
    with torch.enable_grad(), differentiable_twice():
        x, z, v, η, ς = (each.detach().clone().requires_grad_() for each in (x, z, v, η, ς))
        logits = net.uncounted(x)
        margins = goal.margins(logits)
        CT = torch.where(margins.isinf(), 0.0, margins)
        ζ = (-CT.detach()).clamp(min=0)
        u = (ζ * weights).requires_grad_()
        (pulled,) = torch.autograd.grad(CT, x, u, create_graph=True)  # Jᵀ u, whose slopes are J and the Hessians
        Jη, Hη = torch.autograd.grad(pulled, (u, x), η, create_graph=True, materialize_grads=True)
        (JᵀvwJη,) = torch.autograd.grad(CT, x, v * weights * Jη, create_graph=True)
        L = (JᵀvwJη + Hη - batch_view(ς, z) * z).square().flatten(1).sum(dim=1) / 2  # Eq. (S.12)
        dx, *slopes = torch.autograd.grad(L.sum(), (x, z, v, η, ς), materialize_grads=True)
    net.add_forwards(1)
    net.add_backwards(BACKWARDS)
    return L.detach(), [dx + slopes[0], *slopes[1:]], logits.detach(), ζ


def _step(value: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
    """(S.15): -(g gᵀ + λ I)⁻¹ g L (N, n) of one residual L (N,) with gradient g (N, n): -L g / (||g||² + λ)."""
    return -(value / (gradient.square().sum(dim=1) + damping))[:, None] * gradient
