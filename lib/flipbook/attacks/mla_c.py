"""MLA-C: attack the targets and preserve the other labels in one sum (Mahmood and Elhamifar 2024)."""

from torch import Tensor

from flipbook.attacks.engines.auto_pgd import auto_pgd, signs
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.target_split import all_losses
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_inputs
from flipbook.goals import Goal


@attack
def mla_c(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 0.01,
    max_iterations: int = 300,
    step: float = 0.012,
    momentum: float = 0.75,
    checkpoint_decrease: int = 2,
) -> AttackResult:
    """Step along the sign of the gradient of all labels' cross-entropy, with Auto-PGD's control of the step size.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Which labels to attack, which to preserve and when an image is done; see `gmla`.
    bound : float
        ε, the largest change of a pixel in [0, 1] units: 0.01 for VOC and NUS-WIDE, 0.05 for Open Images.
    max_iterations, step, momentum, checkpoint_decrease
        See `gmla`.

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
    Source: the supplement of GMLA and its authors' program. The two gradients g₁ of the targets and g₂ of the rest are
    added as they are, so that the larger one dominates; their sum is one gradient and costs one backward pass, where
    the program makes two.
    """
    check_inputs(model, images, goal)
    schedule = {
        "max_iterations": max_iterations,
        "step": step,
        "momentum": momentum,
        "checkpoint_decrease": checkpoint_decrease,
    }
    return auto_pgd(model, images, goal, all_losses, signs, bound=bound, **schedule)
