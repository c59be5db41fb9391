"""Rank I: descend the hinge of the worst pair of labels (Song et al., ICDM 2018), in the form of MASW's comparison."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.losses import hinge
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Loss, Plain, descend
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_positive
from flipbook.goals import Goal


@attack
def rank_i(
    model,
    images: Tensor,
    goal: Goal,
    *,
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    stop_on_success: bool = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - lr ∇L), Π onto the ball of radius τ and then the box.

    The loss of a targeted top-k goal is

        L = max(0, max_{i not in Y_t} z_i - min_{t in Y_t} z_t),

    which is max(0, -the goal's smallest margin); that is L for every other goal, so each step serves the requirement
    that is missed most.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any; published for `TopKEquals`. Sides of the threshold that a goal asks for are requirements too.
    radius : float, optional
        τ, as for `fgsm`.
    learning_rate : float
        Of plain gradient descent, in [0, 1] units (0.01 on the paper's [-1, 1]: the gradient doubles and the step
        halves).
    max_iterations : int
        T.
    stop_on_success : bool
        Whether an image leaves at its first success; else it goes on, and its smallest success counts.
    trace : tuple of str
        "loss" keeps L, "step" the L2 norm of the step before it is projected, (N, T + 1) each.

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
    In MASW's comparison the first success ends a run; in TkML's all T steps are made and the smallest success counts
    (`stop_on_success=False`; with a loss of 0 an image stands still). The original weighs the hinge on probabilities
    against ||δ||² and searches the weight; neither comparison does.
    """
    check_positive(learning_rate=learning_rate)
    return descend(
        model,
        images,
        goal,
        lambda _: Loss(lambda goal, logits: hinge(goal.margins(logits))),
        lambda _: Plain(learning_rate),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=stop_on_success,
        trace=trace,
    )
