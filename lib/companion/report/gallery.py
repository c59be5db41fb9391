"""Rows of images with text under each."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from companion.report.figures import draw_image


def gallery(images: Tensor, texts: Sequence[str], columns: int = 8, side: float = 1.3) -> Figure:
    """Draw images (n, channels, H, W) in [0, 1], each with its text; `side` is the width of one in inches."""
    if len(texts) != len(images):
        raise ValueError(f"texts: {len(texts)} entries, must be one for each of the {len(images)} images")
    columns = min(columns, len(images))
    figure, axes = _grid(math.ceil(len(images) / columns), columns, side, texts)
    for axis in axes.flat[len(images) :]:
        axis.set_axis_off()
    for axis, image, text in zip(axes.flat, images, texts, strict=False):
        draw_image(axis, image, "", text)
    return figure


def strips(rows: list[tuple[str, dict[str, tuple[Tensor, str]]]], side: float = 1.5) -> Figure:
    """Draw one row of images a task, of sizes that may differ: (label, {heading: (image, text)}) each."""
    texts = [text for _, images in rows for _, text in images.values()]
    figure, axes = _grid(len(rows), max(len(images) for _, images in rows), side, texts)
    for row, (label, images) in enumerate(rows):
        for axis in axes[row, len(images) :]:
            axis.set_axis_off()
        for axis, (heading, (image, text)) in zip(axes[row], images.items(), strict=False):
            draw_image(axis, image, heading if row == 0 else "", text)
        axes[row, 0].set_ylabel(label, fontsize=9)
    return figure


def _grid(rows: int, columns: int, side: float, texts: Sequence[str]):
    lines = 1 + max(text.count("\n") for text in texts)
    size = (columns * side, rows * (side + 0.15 * lines) + 0.2)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
