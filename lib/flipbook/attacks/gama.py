"""GAMA-like: one pass of a generator trained against features of a victim (after Aich et al., NeurIPS 2022)."""

from typing import TYPE_CHECKING

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.generated import generated
from flipbook.core.attack_result import AttackResult
from flipbook.goals import Goal

if TYPE_CHECKING:  # at work it is only handed on, and its room needs packages that attacks do not
    from flipbook.generative import Trained


@attack
def gama(model, images: Tensor, goal: Goal, *, generator: "Trained") -> AttackResult:
    """Return the images that a generator of `flipbook.generative.train_gama` makes.

        generator = train_gama(model, training_images, labels, Training(epochs=4))
        result = gama(model, images, goal, generator=generator)

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode; may be another than the generator was trained on.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Only decides what is a success.
    generator : Trained

    Returns
    -------
    AttackResult
        A failure too is the generator's image, not the clean one. `iterations` is 1. Passes: 1 forward to look at the
        clean images, where an image that has reached its goal stays, and 1 forward to look at the generator's.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, and a generator of another method or for other channels.

    Notes
    -----
    Not in `ALL`, as it searches nothing: the same image comes out whatever the goal. A stand-in: `train_gama` says
    what it has in place of CLIP.
    """
    return generated(model, images, goal, generator, "GAMA-like")
