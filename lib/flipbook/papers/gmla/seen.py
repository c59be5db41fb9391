"""An attack that also says what the model sees on its answers and how far these are from their images."""

from collections.abc import Callable

from torch import Tensor

from flipbook import semantics
from flipbook.goals import Goal
from flipbook.papers.observed import observed
from flipbook.perturbed import Perturbed


def seen(model, images: Tensor, goal: Goal, *, attack: Callable, **hyper) -> Perturbed:
    """Run `observed` and keep the answers' distance as the trace "rmsd" too: it takes the images, which rows lack."""
    result = observed(model, images, goal, attack=attack, **hyper)
    result.trace["rmsd"] = semantics.rmsd(result.images, images)
    return result
