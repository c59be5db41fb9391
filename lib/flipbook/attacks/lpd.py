"""LPD-like: one pass of a generator trained on local differences of patches (after Aich et al., WACV 2023)."""

from typing import TYPE_CHECKING

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.generated import generated
from flipbook.core.attack_result import AttackResult
from flipbook.goals import Goal

if TYPE_CHECKING:  # at work it is only handed on, and its room needs packages that attacks do not
    from flipbook.generative import Trained


@attack
def lpd(model, images: Tensor, goal: Goal, *, generator: "Trained") -> AttackResult:
    """Return the images that a generator of `flipbook.generative.train_lpd` makes.

    Parameters
    ----------
    model, images, goal
        As for `gama`; the goal only decides what is a success.
    generator : Trained

    Returns
    -------
    AttackResult
        As for `gama`.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, and a generator of another method or for other channels.

    Notes
    -----
    Not in `ALL`, as it searches nothing. A stand-in: `train_lpd` says what it is made from.
    """
    return generated(model, images, goal, generator, "LPD-like")
