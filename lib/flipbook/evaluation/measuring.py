"""One row per attacked image: the columns that every table is made from."""

import pandas as pd
import torch
from torch import Tensor

from flipbook import metrics
from flipbook.core.attack_result import AttackResult
from flipbook.goals import Goal


def rows(model, images: Tensor, goal: Goal, result: AttackResult, seconds: float) -> pd.DataFrame:
    """Measure one batch of attacked images from scratch: what the attack says of itself is never trusted.

    Parameters
    ----------
    model : callable
        Maps images to logits.
    images, goal : Tensor (N, channels, H, W), Goal
        What the attack was given, on the model's device.
    result : AttackResult
        What it returned.
    seconds : float
        Wall time of the batch; a row gets its share.

    Returns
    -------
    DataFrame with N rows
        reached (the goal's decision on the returned image), claimed (what the attack says), reached_8bit (after
        rounding to 256 grey levels), reached_logits (for output codes: by raw correlations z . c; else as reached),
        distance and distance_before (the goal's: Hamming for label vectors), mse, psnr, ssim, l0, l1, l2, linf,
        outside_box, iterations, forwards, backwards, first_success (passes), what the goal measures
        besides (`goal.measures`), seconds.
    """
    attacked = result.images.detach()
    if attacked.shape != images.shape:
        raise ValueError(f"attack returned images of shape {tuple(attacked.shape)}, was given {tuple(images.shape)}")
    with torch.no_grad():
        before, after, rounded = model(images), model(attacked), model(metrics.to_8bit(attacked))
    finite = attacked.flatten(1).isfinite().all(1)
    columns = {
        "reached": goal.reached(after) & finite,
        "claimed": result.reached,
        "reached_8bit": goal.reached(rounded) & finite,
        "reached_logits": _by_raw_correlation(goal, after) & finite,
        "distance": goal.violations(after),
        "distance_before": goal.violations(before),
        "mse": metrics.mse(attacked, images),
        "psnr": metrics.psnr(attacked, images),
        "ssim": _ssim(attacked, images),
        "l0": metrics.l0(attacked, images),
        "l1": metrics.l1(attacked, images),
        "l2": metrics.l2(attacked, images),
        "linf": metrics.linf(attacked, images),
        "outside_box": metrics.outside_box(attacked),
        "iterations": result.iterations,
        "forwards": result.forwards,
        "backwards": result.backwards,
        "first_success": result.first_success,
    } | goal.measures(before, after)
    columns = {name: values.double() if values.is_floating_point() else values for name, values in columns.items()}
    table = pd.DataFrame({name: values.detach().cpu().numpy() for name, values in columns.items()})
    return table.assign(seconds=seconds / max(1, len(images)))


def _by_raw_correlation(goal: Goal, logits: Tensor) -> Tensor:
    if getattr(goal, "codebook", None) is None:
        return goal.reached(logits)
    return (logits @ goal.codebook.to(logits).T).argmax(1) == goal.target


def _ssim(attacked: Tensor, images: Tensor) -> Tensor:
    """SSIM, or NaN for images smaller than its window (the toy models of the tests and of Figure 1)."""
    if min(images.shape[-2:]) < metrics.SSIM_WINDOW:
        return torch.full((len(images),), float("nan"), dtype=torch.float64)
    return metrics.ssim(attacked, images)
