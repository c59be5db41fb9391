"""Losses of a goal's margins (N, M): what an attack pushes down to reach any goal. A margin of +inf costs nothing."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from flipbook.core.validation import check_choice


def hinge(margins: Tensor, kappa: float = 0.0) -> Tensor:
    """max(0, κ - min margin), (N,); for a target class max(0, max_{j≠t} z_j - z_t + κ)."""
    return (kappa - margins.amin(dim=1)).clamp(min=0)


def cross_entropy(margins: Tensor) -> Tensor:
    """log(1 + Σ exp(-margin)), (N,); for a target class that is -log softmax(z)_t."""
    return torch.cat([torch.zeros_like(margins[:, :1]), -margins], dim=1).logsumexp(dim=1)


def loss_named(name: str, kappa: float = 0.0) -> Callable[[Tensor], Tensor]:
    """Return the loss called "hinge" (with its κ) or "cross-entropy"."""
    check_choice("loss", name, ("hinge", "cross-entropy"))
    return partial(hinge, kappa=kappa) if name == "hinge" else cross_entropy
