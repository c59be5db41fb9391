"""Auto-PGD (Croce and Hein 2020): projected steps whose size follows the progress, for any goal."""

from torch import Tensor

from flipbook.attacks.engines.auto_pgd import auto_pgd, signs
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.losses import loss_named
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_inputs
from flipbook.goals import Goal


@attack
def apgd(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 8 / 255,
    max_iterations: int = 100,
    step: float | None = None,
    momentum: float = 0.75,
    checkpoint_decrease: int = 1,
    loss: str = "cross-entropy",
) -> AttackResult:
    """Descend a loss of the goal's margins within ||δ||_∞ <= ε, halving the step where progress stalls.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    bound : float
        ε, the largest change of a pixel in [0, 1] units.
    max_iterations : int
        N steps at most.
    step : float, optional
        Size of the first step; 2 ε by default.
    momentum : float
        Weight in (0, 1] of a new step; what remains repeats the move before.
    checkpoint_decrease : int
        How often a check of the step sizes takes 0.03 N off the number of steps to the next check, which is at least
        0.06 N: 1 in the paper, 2 in GMLA's program.
    loss : {"cross-entropy", "hinge"}
        log(1 + Σ exp(-margin)), for a target class -log softmax; or max(0, -min margin).

    Returns
    -------
    AttackResult
        The first success. `iterations` is the number of steps to the returned image. Passes: 1 forward and 1 backward
        a step, 1 forward to look at the clean images and 1 at the last iterate.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Deviation: no random start and no restarts; GMLA's attacks run the same loop, but there the first step of a run is
    never one that raised the objective. At a check, a step is halved where the objective rose in at most three
    quarters of the steps since the last check, or where that one changed nothing and no better point was found; the
    image then goes back to its best point. "At most", and numbers of steps rounded down, are the authors' program's;
    the paper has "less than" and rounds up.
    """
    check_inputs(model, images, goal)
    value = loss_named(loss)

    def whole(goal: Goal, logits: Tensor) -> tuple[Goal, Tensor]:
        return goal, logits  # targets, which this loss does not know

    def losses(margins: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
        total = value(margins)
        return total, [total]

    schedule = {
        "max_iterations": max_iterations,
        "momentum": momentum,
        "checkpoint_decrease": checkpoint_decrease,
        "first_rise": True,
    }
    step = 2 * bound if step is None else step
    return auto_pgd(model, images, goal, losses, signs, bound=bound, step=step, part=whole, **schedule)
