"""TkML: top-k multi-label attacks by surrogates of the ranking (Hu, Ke, Wang and Lyu, ICCV 2021)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Loss, Plain, descend
from flipbook.attacks.engines.self_paced import Pace, SelfPaced
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_positive
from flipbook.goals import INF, Goal, TopKEquals, TopKExcludes, check_top_k


@attack
def tkml(
    model,
    images: Tensor,
    goal: Goal,
    *,
    weights: str = "none",
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    stop_on_success: bool | None = None,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - lr ∇L), Π onto the ball of radius τ and then the box.

    The loss of an image is

        untargeted   L = max_{j in Y} z_j - mean of the C - k smallest logits,
        targeted     L = Σ_{t in Y_t} max(0, z_[k] - z_t) + Σ_{i not in Y_t} max(0, z_i - z_[k]).

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `TopKExcludes` (untargeted) or `TopKEquals` (targeted).
    weights : {"none", "spw", "spl", "fixed", "hard"}
        Self-paced weighting of the targeted hinges (MASW, Figure 8c), with MASW's settings; see `Pace`.
    radius : float, optional
        τ in [0, 1] units; by default 5 untargeted and 1 targeted (10 and 2 on the paper's [-1, 1]).
    learning_rate : float
        Of plain gradient descent, in [0, 1] units (0.01 on [-1, 1]: the gradient doubles and the step halves).
    max_iterations : int
        T.
    stop_on_success : bool, optional
        Whether an image leaves at its first success, by default if untargeted; else its smallest success counts.
    trace : tuple of str
        "loss" keeps L, "step" the L2 norm of the step before it is projected, (N, T + 1) each; targeted also what
        `SelfPaced` offers, where "hinges" is L.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, another goal and hyper-parameters out of range.

    Notes
    -----
    Settings are those of MASW's comparison, where τ = 2 stands for TkML's own 3. The authors' program takes maxima over
    the whole batch and must be run image by image; it works in tanh space.
    """
    check_top_k("tkml", goal)
    check_positive(learning_rate=learning_rate)
    untargeted, pace = isinstance(goal, TopKExcludes), Pace(weights)
    if untargeted and weights != "none":
        raise ValueError(f"weights is {weights!r}: the untargeted loss is no sum of hinges, it must be 'none'")

    def objective(images: Tensor):
        if untargeted:
            return Loss(untargeted_loss)
        return SelfPaced(targeted_hinges, pace, images.new_ones(len(images), 1), pace.start(images))

    return descend(
        model,
        images,
        goal,
        objective,
        lambda _: Plain(learning_rate),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=untargeted if stop_on_success is None else stop_on_success,
        trace=trace,
    )


def untargeted_loss(goal: TopKExcludes, logits: Tensor) -> Tensor:
    """max_Y z minus the mean of the C - k smallest logits, (n,): an upper bound of max_Y z - z_[k+1]."""
    smallest = logits.topk(logits.shape[1] - goal.k, dim=1, largest=False).values
    return logits.masked_fill(~goal.present, -INF).amax(dim=1) - smallest.mean(dim=1)


def targeted_hinges(goal: TopKEquals, logits: Tensor) -> Tensor:
    """One hinge a label against the k-th largest logit, (n, C)."""
    kth = logits.topk(goal.k, dim=1).values[:, -1:]
    sign = goal.target.to(logits) * 2 - 1
    return (sign * (kth - logits)).clamp(min=0)


def targeted_loss(goal: TopKEquals, logits: Tensor) -> Tensor:
    """Sum of the hinges, (n,)."""
    return targeted_hinges(goal, logits).sum(dim=1)
