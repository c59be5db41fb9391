"""The losses that victims are trained with, each a mean over the batch of logits (N, n)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def binary(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy, target (N, n) of 0/1: summed over the labels, as the asymmetric loss is."""
    return F.binary_cross_entropy_with_logits(logits, target.to(logits), reduction="sum") / len(logits)


def asymmetric(logits: Tensor, target: Tensor, γ_pos: float = 0.0, γ_neg: float = 4.0, clip: float = 0.05) -> Tensor:
    """Asymmetric loss for labels that are mostly absent, target (N, n) of 0/1.

    With p = sigmoid(z) and p_m = max(p - clip, 0): a present label costs -(1 - p)^γ_pos log p, an absent one
    -p_m^γ_neg log(1 - p_m); summed over labels. Source: Ridnik et al., Asymmetric Loss, ICCV 2021, Eqs. 5-7.
    """
    present = target.to(logits)
    p = logits.sigmoid()
    shifted = (p - clip).clamp(min=0)
    on = (1 - p) ** γ_pos * F.logsigmoid(logits)
    off = shifted**γ_neg * torch.log1p(-shifted)
    return -(present * on + (1 - present) * off).sum() / len(logits)


def hinge(logits: Tensor, classes: Tensor, codebook: Tensor) -> Tensor:
    """Hinge loss of an ECOC ensemble: sum over bits j of max(0, 1 - c_j tanh z_j).

    classes (N,) of indices, codebook (classes, n) of +-1. Source: JMA, section VI-A.
    """
    code = codebook.to(logits)[classes]
    return (1 - code * logits.tanh()).clamp(min=0).sum() / len(logits)


cross_entropy = F.cross_entropy
