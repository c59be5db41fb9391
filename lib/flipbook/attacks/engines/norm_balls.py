"""What FGSM, MI-FGSM and PGD share: a ball in L∞ or L2, steps of steepest descent in it, and a random start."""

import math

from torch import Tensor

from flipbook.attacks.engines.projected_descent import Signs, Unit
from flipbook.core import per_image_random
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.validation import check_choice, check_positive, check_radius

NORMS = ("linf", "l2")
DIRECTIONS = ("steepest", "sign")
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


def steps_of(norm: str, direction: str, size: float) -> Signs | Unit:
    """Steps of this length in this norm; with "sign" every entry moves by `size`, whatever the norm of the ball."""
    check_choice("direction", direction, DIRECTIONS)
    return Signs(size) if norm == "linf" or direction == "sign" else Unit(size)


def uniform_start(images: Tensor, norm: str, radius: float, seed: int) -> Tensor:
    """A point of the ball for each image, uniform and drawn from its content and the seed, like `images`."""
    keys, count = per_image_random.keys(images, seed), images.shape[1:].numel()
    if norm == "linf":
        return ((2 * per_image_random.uniform(keys, count, 0) - 1) * radius).to(images).view_as(images)
    way = per_image_random.normal(keys, count, 0)
    length = radius * per_image_random.uniform(keys, 1, 1) ** (1 / count)
    return (way * batch_view(length[:, 0] / l2_norm(way), way)).to(images).view_as(images)
