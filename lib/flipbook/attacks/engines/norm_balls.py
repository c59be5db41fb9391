"""Balls in L∞ or L2 around an image: their radius by default, the projection onto them, a random start in them."""

import math

from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.validation import check_choice, check_positive, check_radius
from flipbook.goals import Goal, HideLabels, TopKExcludes

NORMS = ("linf", "l2")
LARGEST = 8 / 255  # ε in L∞
ROOT_MEAN_SQUARE = 2 / 255  # ε in L2 per entry: 0.43 for 32 x 32 pixels, 3.04 for 224 x 224


def check_ball(norm: str, bound: float | None, step: float | None) -> None:
    """Refuse a norm that is unknown, and a bound and a step out of range."""
    check_choice("norm", norm, NORMS)
    if bound is not None:
        check_radius(bound=bound)
    if step is not None:
        check_positive(step=step)
    elif bound == math.inf:
        raise ValueError("step is None, but bound is inf, of which no step is a share: give a step")


def ball_radius(norm: str, bound: float | None, images: Tensor) -> float:
    """Return ε, or for None 8/255 in L∞ and 2/255 √n in L2 for images of n entries."""
    if bound is not None:
        return bound
    return LARGEST if norm == "linf" else ROOT_MEAN_SQUARE * math.sqrt(images.shape[1:].numel())


def uniform_start(images: Tensor, norm: str, radius: float, seed: int) -> Tensor:
    """A point of the ball for each image, uniform and drawn from its content and the seed, like `images`."""
    keys, count = per_image_random.keys(images, seed), images.shape[1:].numel()
    if norm == "linf":
        return ((2 * per_image_random.uniform(keys, count, 0) - 1) * radius).to(images).view_as(images)
    way = per_image_random.normal(keys, count, 0)
    length = radius * per_image_random.uniform(keys, 1, 1) ** (1 / count)
    return (way * batch_view(length[:, 0] / l2_norm(way), way)).to(images).view_as(images)


def into_ball(δ: Tensor, radius: float, norm: str = "l2") -> Tensor:
    """Project perturbations (n, channels, H, W) onto the ball, in place; clipping to [0, 1] shortens them further."""
    if radius == math.inf:
        return δ
    if norm == "linf":
        return δ.clamp_(-radius, radius)
    scale = radius / l2_norm(δ).clamp(min=radius)
    return δ.mul_(batch_view(scale, δ))


def default_radius(goal: Goal, radius: float | None) -> float:
    """Return the radius, or for None MASW's own: 5 where labels are only to go, 1 where some are to come."""
    if radius is not None:
        return radius
    return 5.0 if isinstance(goal, TopKExcludes | HideLabels) else 1.0
