"""MADW: MASW's constraints by damped least squares (Su, Wu and Zhu, supplement S.II-D)."""

from torch import Tensor

from flipbook.attacks.engines import levenberg_marquardt
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.self_paced import Pace, check_trace
from flipbook.attacks.masw import constraint_factors
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import (
    check_at_least,
    check_counts,
    check_inputs,
    check_positive,
    check_radius,
)
from flipbook.goals import Goal
from flipbook.solvers.damped_least_squares import Damping


@attack
def madw(
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
    margin: float = 0.3,
    radius: float | None = None,
    max_iterations: int = 300,
    stop_on_success: bool = True,
    chunk: int = 32,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - Jᵀ (J Jᵀ + λ_D W⁻¹)⁻¹ ζ), Π onto the ball of radius τ and then the box.

    ζ = margin - m > 0 are the goal's violated constraints, J their gradients, W = diag(λ w) with MASW's weights.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        With linear constraints. The paper's are `TopKExcludes` and `TopKEquals` with `hide=True`.
    lam1, lam2, eta, eps0, weights
        As for `masw`.
    f_in, f_de : float
        λ_D is divided by f_de after an iteration that lowers L = ½ Σ λ w ζ², else multiplied by f_in.
    damping : float
        λ_D at the start, a share of the mean λ w ||∇ζ||² over the violated constraints, which frees it from the scale
        of logits and images.
    margin : float
        What every constraint asks for beyond its boundary, in the unit of the goal's margins.
    radius : float, optional
        τ in [0, 1] units; by default 5 where labels are only to go (`TopKExcludes`, `HideLabels`) and 1 elsewhere (10
        and 2 on the paper's [-1, 1]).
    max_iterations : int
        T.
    stop_on_success : bool
        Whether an image leaves at its first success; else its smallest success counts.
    chunk : int
        Images worked on together; bounds the memory to `chunk` Jacobians. Results do not depend on it.
    trace : tuple of str
        What to keep, (N, T + 1) each: "lagrangian" is L; the others as for `masw`.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images; a step costs 2 forward
        and 1 backward for each label that a violated constraint reads.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    The paper applies damped least squares to a scalar (Eq. S.12 to S.15), which is a gradient step of damped length,
    and the scalar is 0 without any attack. Here they are applied to what the constraints leave to do, with the paper's
    rules for ε, λ_D and w (Algorithm S.1). Published settings: η, ε at the start, f_in, f_de, λ = 0.5. Not published,
    so ours: λ_D's start and unit, the margin, without which the iterates end on the boundary, and the ball, which is
    MASW's.
    """
    radius = default_radius(goal, radius)
    check_inputs(model, images, goal)
    check_positive(damping=damping)
    check_radius(radius=radius)
    check_counts(max_iterations=max_iterations, chunk=chunk)
    check_at_least(0, lam1=lam1, lam2=lam2, margin=margin)
    check_at_least(1, f_in=f_in, f_de=f_de)
    check_trace(trace)
    return levenberg_marquardt.attack(
        model,
        images.detach(),
        goal,
        pace=Pace(weights, eta, eps0),
        rule=Damping(damping, f_in, f_de),
        λ=constraint_factors(images, goal, lam1, lam2),
        margin=margin,
        radius=radius,
        max_iterations=max_iterations,
        stop_on_success=stop_on_success,
        chunk=chunk,
        trace=trace,
    )
