"""One look for all figures: sizes, colours, and grids of attacked images."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

WIDTH = 8.0  # inches
PALETTE = "colorblind"


def use_style() -> None:
    """Set the style of every figure drawn afterwards: light grid, colour-blind palette, readable letters."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette=PALETTE,
        rc={
            "figure.figsize": (WIDTH, 0.55 * WIDTH),
            "figure.dpi": 90,
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.labelsize": 11,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
        },
    )


def image_grid(
    originals: Tensor,
    attacked: dict[str, Tensor],
    *,
    labels: Sequence[str] | None = None,
    captions: dict[str, Sequence[str]] | None = None,
    amplify: float | None = None,
    side: float = 1.45,
) -> Figure:
    """Draw one row per image: the original, and for every attack the attacked image and the signed difference.

    Parameters
    ----------
    originals : Tensor (n, channels, H, W)
        In [0, 1], one or three channels.
    attacked : dict of str to Tensor (n, channels, H, W)
        By attack's name.
    labels : sequence of n str, optional
        Text under the originals.
    captions : dict of str to sequence of n str, optional
        Text under each attack's images.
    amplify : float, optional
        Differences are drawn as ½ + amplify · δ / 2, mid-grey for no change; by default one factor for the whole
        figure that makes the largest change just visible in full.
    side : float
        Width of an image in inches.

    Raises
    ------
    ValueError
        When an attack has other shapes than the originals.
    """
    for name, images in attacked.items():
        if images.shape != originals.shape:
            raise ValueError(f"{name}: shape {tuple(images.shape)}, must be the originals' {tuple(originals.shape)}")
    amplify = amplify or amplification(originals, attacked.values())
    rows, columns = len(originals), 1 + 2 * len(attacked)
    height = side * originals.shape[2] / originals.shape[3]
    lines = 1 + max((text.count("\n") for text in _texts(labels, captions)), default=-1)
    figure, axes = plt.subplots(
        rows,
        columns,
        squeeze=False,
        figsize=(columns * side, rows * (height + 0.14 * lines) + 0.3),
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.0)
    for row in range(rows):
        draw_image(axes[row, 0], originals[row], "original" if row == 0 else "", labels[row] if labels else "")
        for place, (name, images) in enumerate(attacked.items()):
            text = captions[name][row] if captions and name in captions else ""
            difference = (0.5 + amplify * (images[row] - originals[row]) / 2).clamp(0, 1)
            draw_image(axes[row, 1 + 2 * place], images[row], name if row == 0 else "", text)
            draw_image(axes[row, 2 + 2 * place], difference, f"difference x {amplify:g}" if row == 0 else "", "")
    return figure


def amplification(originals: Tensor, attacked) -> float:
    """Return the factor, 1, 2 or 5 times a power of ten, that brings the largest change of a pixel near full range."""
    largest = max((float((images - originals).abs().max()) for images in attacked), default=0.0)
    if largest == 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(1 / largest))
    return max(1.0, max(step * power for step in (1, 2, 5) if step * power * largest <= 1 + 1e-9))


def _texts(labels, captions) -> list[str]:
    return [*(labels or ()), *(text for texts in (captions or {}).values() for text in texts)]


def draw_image(axis, image: Tensor, title: str, text: str) -> None:
    """Draw one image (channels, H, W) with a title above and a text below, without ticks."""
    pixels = image.detach().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    sns.despine(ax=axis, left=True, bottom=True)
    if title:
        axis.set_title(title, fontsize=9)
    if text:
        axis.set_xlabel(text, fontsize=8, labelpad=3)
