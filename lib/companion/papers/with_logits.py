"""An attack that also says what the model sees on its answers, for measures that a goal alone does not give."""

from collections.abc import Callable

import torch
from torch import Tensor

from flipbook.core.attack_result import AttackResult
from flipbook.goals import Goal


def with_logits(model, images: Tensor, goal: Goal, *, attack: Callable, **hyper) -> AttackResult:
    """Run `attack` and keep the logits (N, C) of the returned images as the trace "logits".

    Traces are stored with the rows, so that flipped labels can be counted for any target set without the images. The
    look is not part of the attack, and its forward pass is not counted.
    """
    result = attack(model, images, goal, **hyper)
    with torch.no_grad():
        result.trace["logits"] = model(result.images)
    return result
