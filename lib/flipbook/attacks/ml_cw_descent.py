"""ML-C&W as the MASW paper compares it: its hinges, descended within a ball instead of weighed against the norm."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.engines.self_paced import Pace, SelfPaced
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_positive
from flipbook.goals import Goal


@attack
def ml_cw_descent(
    model,
    images: Tensor,
    goal: Goal,
    *,
    weights: str = "none",
    factors: Tensor | None = None,
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    stop_on_success: bool = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - lr ∇ Σ_j max(0, -y_j z_j)), Π onto the ball of radius τ and then the box.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Decides success. The hinges are those of its labels: for `TopKExcludes` y = -1 on the image's own, for
        `TopKEquals` also +1 on the targets, for a codebook the target's codeword.
    weights : {"none", "spw", "spl", "fixed", "hard"}
        Self-paced weighting of the hinges (Figure 8b), with MASW's settings; see `Pace`.
    factors : Tensor (N, C), optional
        Fixed factors of the hinges, 0 or above (Figures 2 and 3a).
    radius : float, optional
        τ in [0, 1] units; by default 5 where labels are only to go (`TopKExcludes`, `HideLabels`) and 1 elsewhere (10
        and 2 on the paper's [-1, 1]).
    learning_rate : float
        Of plain gradient descent, in [0, 1] units (0.01 on [-1, 1]: the gradient doubles and the step halves).
    max_iterations : int
        T.
    stop_on_success : bool
        Whether an image leaves at its first success; else its smallest success counts.
    trace : tuple of str
        What to keep, (N, T + 1) each: "loss", "lagrangian", "threshold", "weight", "hinges" and "violated", see
        `SelfPaced`, and "step", the L2 norm of the step before it is projected.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    MASW's program computes this loss and its gradient for the untargeted attack but never moves the image; the
    targeted form, which it lacks, is the natural one. An image whose labels all are on their side has no gradient
    left and stays where it is, whether the ranking is reached or not. `ml_cw` is the original method.
    """
    check_positive(learning_rate=learning_rate)
    pace = Pace(weights)
    if factors is not None:
        signs = getattr(goal.per_label(), "signs", None)
        if signs is None or factors.shape != signs.shape or not (factors >= 0).all():
            raise ValueError(
                f"factors have shape {tuple(factors.shape)}: give (N, C) of 0 or above, for a goal on C labels"
            )

    def objective(images: Tensor) -> SelfPaced:
        λ = images.new_ones(len(images), 1) if factors is None else factors.to(images)
        return SelfPaced(hinges, pace, λ, pace.start(images))

    return descend(
        model,
        images,
        goal,
        objective,
        lambda _: Plain(learning_rate),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=stop_on_success,
        trace=trace,
    )


def hinges(goal: Goal, logits: Tensor) -> Tensor:
    """max(0, -margin) of every label of the goal, (n, C)."""
    return (-goal.per_label().margins(logits)).clamp(min=0)
