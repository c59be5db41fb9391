"""One clear line for what no attack can work with."""

import math
import warnings
from numbers import Integral, Real

import torch
from torch import Tensor

from flipbook.core.modules import check_mode
from flipbook.goals import Goal

ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def check_inputs(model, images: Tensor, goal: Goal) -> None:
    """Refuse images, goals and models that an attack would silently go wrong on.

    Raises
    ------
    ValueError
        Images that are not (N, channels, H, W), floating, finite and in [0, 1]; a goal for another number of images; a
        model in training mode, or behind which a module is; one that gives an image other logits beside another image,
        or when asked twice; logits that do not fit the goal or carry no gradient.

    Warns
    -----
    UserWarning
        When all outputs lie in [0, 1]: a model that returns probabilities where logits are due.
    """
    check_images(images)
    if len(goal) != len(images):
        raise ValueError(f"goal speaks of {len(goal)} images, the batch has {len(images)}: make them equal")
    if goal.device != images.device:
        raise ValueError(f"goal is on {goal.device}, images are on {images.device}: use goal.to(images.device)")
    check_mode(model)
    if len(images):
        _check_logits(model, images, goal)


def check_images(images: Tensor) -> None:
    """Refuse images that are not (N, channels, H, W), floating, finite and in [0, 1]."""
    if images.ndim != 4:
        raise ValueError(f"images have shape {tuple(images.shape)}: give (N, channels, height, width)")
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: convert them to floating point in [0, 1], e.g. images / 255")
    if not len(images):
        return
    low, high = (v.item() for v in images.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("images hold NaN or infinite values: mend or leave out those images")
    if low < 0 or high > 1:
        raise ValueError(
            f"images lie in [{low:.4g}, {high:.4g}]: give them in [0, 1] and put any normalisation into the model"
        )


def check_positive(**values: float) -> None:
    """Refuse hyper-parameters, given by name, that are not above 0 and finite."""
    for name, value in values.items():
        if not _number(name, value) > 0:
            raise ValueError(f"{name} is {value}: it must be above 0")
        if value == math.inf:
            raise ValueError(f"{name} is {value}: it must be above 0 and finite")


def check_radius(**values: float) -> None:
    """Refuse radii, given by name, that are not above 0; an infinite one stands for no ball at all."""
    for name, value in values.items():
        if not _number(name, value) > 0:
            raise ValueError(f"{name} is {value}: it must be above 0; math.inf means without a bound")


def check_at_least(least: float, **values: float) -> None:
    """Refuse hyper-parameters, given by name, that are below a number or not finite."""
    for name, value in values.items():
        if not least <= _number(name, value) < math.inf:
            raise ValueError(f"{name} is {value}: it must be {least:g} or above, and finite")


def check_counts(least: int = 1, **values: int) -> None:
    """Refuse hyper-parameters, given by name, that are no whole numbers or too small."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} is {value!r}: it must be a whole number, {least} or above")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(map(repr, choices))}")


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} is {value!r}: it must be a number")
    return value


def _check_logits(model, images: Tensor, goal: Goal) -> None:
    """Try the first image, alone and beside the second, so that a wrong model is noticed before the work starts."""
    with torch.enable_grad():
        x = images[:1].detach().clone().requires_grad_()
        logits = model(x)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"model gives {what} for one image: it must give logits of shape (1, C)")
    goal.check(logits)
    if not logits.isfinite().all():
        raise ValueError("model gives NaN or infinite logits for the first image: mend the model or its weights")
    if not logits.requires_grad:
        raise ValueError(
            "model's logits carry no gradient with respect to the images: remove no_grad or detach from it"
        )
    if ((logits >= 0) & (logits <= 1)).all() and logits.shape[1] > 1:
        warnings.warn(
            "all outputs of the model lie in [0, 1]: it seems to return probabilities; attacks need logits",
            stacklevel=5,
        )
    with torch.no_grad():
        again = model(images[:2])
    if not isinstance(again, Tensor) or again.shape != (min(2, len(images)), logits.shape[1]):
        what = tuple(again.shape) if isinstance(again, Tensor) else type(again).__name__
        raise ValueError(
            f"model gives {what} for a batch of {min(2, len(images))}: it must give a row of logits an image"
        )
    check_same(logits, again[:1])


def check_same(alone: Tensor, again: Tensor) -> None:
    """Refuse a model that gives an image (1, C) other logits when it is asked again, or beside another image.

    Rounding may differ with the batch: a thousandth of the largest logit is let pass, more in half precision.
    """
    scale = torch.maximum(alone.abs().max(), again.abs().max())
    off = (alone - again).abs().max()
    if off > ROUNDING.get(alone.dtype, 1e-3) * scale:
        raise ValueError(
            "model gives the first image other logits beside another image than alone, or when asked twice (off by "
            f"{float(off / scale):.2g} of the largest): call eval() on it and on all modules that it uses; dropout and "
            "statistics of the batch must be off"
        )
