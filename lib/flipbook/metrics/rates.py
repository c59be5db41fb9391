"""Means over a set of images; each says whether it runs over all of them or over the successful ones only."""

import torch
from torch import Tensor


def asr(reached: Tensor) -> float:
    """Attack success rate: successes / N, over all images (JMA section VI-C)."""
    return _mean(torch.as_tensor(reached).double(), "reached")


def basr(distance: Tensor, labels: int) -> float:
    """Bit-wise success: mean over all images, failed ones too, of the share of labels that agree with the target.

    `distance` (N,): Hamming distance to the target after the attack; `labels`: n. Source: JMA section VI-C, whose
    "labels successfully modified" does not fit its printed numbers.
    """
    return 1 - _mean(torch.as_tensor(distance).double(), "distance") / labels


def do_nothing_basr(flips: Tensor, labels: int) -> float:
    """Return the bASR of an attack that changes nothing, 1 - flips / n, over all images; print it next to bASR."""
    return basr(flips, labels)


def mean_over_successes(values: Tensor, reached: Tensor) -> float:
    """Mean of `values` (N,) over the successful images only; NaN when there is none (the papers print NA)."""
    values, reached = torch.as_tensor(values).double(), torch.as_tensor(reached).bool()
    return values[reached].mean().item() if bool(reached.any()) else float("nan")


def _mean(values: Tensor, name: str) -> float:
    if values.numel() == 0:
        raise ValueError(f"{name}: no image, must hold at least one; run the attack first")
    return values.mean().item()
