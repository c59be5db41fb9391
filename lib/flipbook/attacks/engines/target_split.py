"""What the GMLA family attacks and what it preserves: the requirements of any goal, parted in two for every image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from flipbook.goals import Goal, HideLabels, LabelVector

Losses = Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]]


def split(goal: Goal, logits: Tensor) -> tuple[Goal, Tensor]:
    """Part the requirements on an image into those to attack, T, and those to preserve.

    Parameters
    ----------
    goal : Goal
        `HideLabels`: T are the hidden labels (and kept ones that are absent); all others are preserved as the model
        sees them on the clean image, absent ones absent. Any other goal: T are the requirements that the clean image
        misses, for a label vector the labels to flip; an output code's are the bits of its target's codeword.
    logits : Tensor (N, C)
        Of the clean images.

    Returns
    -------
    aim : Goal
        Whose margins (N, M) are those of all requirements, preserved ones too.
    targets : Tensor (N, M) of bool
        T. Everything where nothing is missed, as with an output code whose bits are right but outvoted.
    """
    aim, attacked = goal.per_label(), False
    if isinstance(goal, HideLabels):
        aim, attacked = LabelVector(((logits > 0) & ~goal.hidden) | goal.kept), goal.hidden
    missed = attacked | ~(aim.margins(logits) > 0)
    return aim, missed | ~missed.any(dim=1, keepdim=True)


def all_losses(margins: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Σ ℓ over all requirements as the objective, and to descend on; ℓ = log(1 + e^-margin) is a label's bce."""
    total = softplus(-margins).sum(dim=1)
    return total, [total]


def target_losses(margins: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Σ ℓ over all requirements as the objective; over T to descend on."""
    ℓ = softplus(-margins)
    return ℓ.sum(dim=1), [torch.where(targets, ℓ, 0).sum(dim=1)]


def parted_losses(margins: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Σ ℓ over all requirements as the objective; over T and over the rest to descend on."""
    ℓ = softplus(-margins)
    return ℓ.sum(dim=1), [torch.where(side, ℓ, 0).sum(dim=1) for side in (targets, ~targets)]
