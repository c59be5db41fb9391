"""Attacks by a trained generator: one pass of it an image, the same whatever the goal."""

import torch
from torch import Tensor

from flipbook.attacks._batch import l2_norm
from flipbook.attacks._record import Record
from flipbook.checks import check_inputs
from flipbook.generative.network import Trained
from flipbook.goals import Goal
from flipbook.passes import Counted
from flipbook.perturbed import Perturbed


def gama(model, images: Tensor, goal: Goal, *, generator: Trained) -> Perturbed:
    """Return the images that a generator of `train_gama` makes.

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
    Perturbed
        A failure too is the generator's image, not the clean one. `iterations` is 1. Passes: 1 forward to look at the
        clean images, where an image that has reached its goal stays, and 1 forward to look at the generator's.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, and a generator of another method or for other channels.
    """
    return _generated(model, images, goal, generator, "GAMA-like")


def lpd(model, images: Tensor, goal: Goal, *, generator: Trained) -> Perturbed:
    """Return the images that a generator of `train_lpd` makes; the rest as for `gama`."""
    return _generated(model, images, goal, generator, "LPD-like")


def _generated(model, images: Tensor, goal: Goal, generator: Trained, method: str) -> Perturbed:
    check_inputs(model, images, goal)
    if not isinstance(generator, Trained) or generator.method != method:
        what = generator.method if isinstance(generator, Trained) else type(generator).__name__
        raise ValueError(f"generator is {what}, it must be {method}: give what its training returned")
    if generator.network.channels != images.shape[1]:
        raise ValueError(
            f"generator is for images of {generator.network.channels} channels, these have {images.shape[1]}: "
            "train one on such images"
        )
    net = Counted(model, images)
    record = Record(net, images, goal)
    rows = record.rows
    if not len(rows):
        return record.result()
    made = generator.perturb(images[rows].detach())
    with torch.no_grad():
        distance = goal[rows].distance(net(made))
    record.update(made, distance, l2_norm(made - images[rows]), 1, 2)
    result = record.result()
    result.images[rows] = made
    result.iterations[rows] = 1
    return result
