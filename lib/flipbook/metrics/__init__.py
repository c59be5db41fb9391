"""What attacks are measured by: distances of images, rates over sets of them; lines of tables in `aggregate`."""

from flipbook.metrics.images import (
    CHANGED,
    SSIM_WINDOW,
    l0,
    l1,
    l2,
    linf,
    mse,
    outside_box,
    psnr,
    ssim,
    to_8bit,
    to_levels,
)
from flipbook.metrics.rates import asr, basr, do_nothing_basr, mean_over_successes

__all__ = [
    "CHANGED",
    "SSIM_WINDOW",
    "asr",
    "basr",
    "do_nothing_basr",
    "l0",
    "l1",
    "l2",
    "linf",
    "mean_over_successes",
    "mse",
    "outside_box",
    "psnr",
    "ssim",
    "to_8bit",
    "to_levels",
]
