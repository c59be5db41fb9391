"""How many pixels an attack may change."""

import math

import torch
from torch import Tensor


def pixels_of(k: int | Tensor, images: Tensor) -> Tensor:
    """Turn a number of entries, one for all or one an image, into pixels of all channels: round(k / channels), (N,)."""
    channels, entries = images.shape[1], math.prod(images.shape[1:])
    k = torch.as_tensor(k, device=images.device)
    if k.is_floating_point() or k.dtype == torch.bool or k.shape not in ((), images.shape[:1]):
        raise ValueError(
            f"k has shape {tuple(k.shape)} and type {k.dtype}: give one integer, or {len(images)}, one an image"
        )
    pixels = (k / channels).round().long().expand(len(images))
    if len(pixels) and (pixels.min() < 1 or k.max() > entries):
        worst = k.min() if pixels.min() < 1 else k.max()
        raise ValueError(
            f"k is {int(worst)}: it counts entries, and must be at least one pixel ({channels} entries) and at most "
            f"{entries}, all of an image"
        )
    return pixels
