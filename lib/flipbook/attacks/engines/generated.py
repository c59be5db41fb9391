"""Attacks by a trained generator: one pass of it an image, the same whatever the goal."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_inputs
from flipbook.goals import Goal

if TYPE_CHECKING:  # at work it is only handed on, and its room needs packages that attacks do not
    from flipbook.generative import Trained


def generated(model, images: Tensor, goal: Goal, generator: "Trained", method: str) -> AttackResult:
    """Return what a generator of this method makes of the images; see `gama`."""
    check_inputs(model, images, goal)
    what = getattr(generator, "method", type(generator).__name__)
    if what != method:
        raise ValueError(f"generator is {what}, it must be {method}: give what its training returned")
    if generator.network.channels != images.shape[1]:
        raise ValueError(
            f"generator is for images of {generator.network.channels} channels, these have {images.shape[1]}: "
            "train one on such images"
        )
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    rows = best.rows
    if not len(rows):
        return best.result()
    made = generator.perturb(images[rows].detach())
    with torch.no_grad():
        violations = goal[rows].violations(net(made))
    best.update(made, violations, l2_norm(made - images[rows]), 1, 2)
    result = best.result()
    result.images[rows] = made
    result.iterations[rows] = 1
    return result
