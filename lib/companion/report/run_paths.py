"""Lines along the iterations of a run: one thin line an image, one of them drawn thick."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor


def draw_paths(axis: Axes, paths: Tensor, colour, thick: int = 0, relative: bool = False) -> None:
    """Draw paths (n, steps) against the iteration.

    Parameters
    ----------
    axis : Axes
    paths : Tensor (n, steps)
        NaN where a run had ended.
    colour
        Of all lines.
    thick : int
        Place of the one that stands out.
    relative : bool
        Divide each path by its first value.
    """
    values = (paths / paths[:, :1] if relative else paths).cpu()
    steps = torch.arange(values.shape[1])
    for row, line in enumerate(values):
        strong = row == thick
        axis.plot(
            steps, line, color=colour, lw=1.8 if strong else 0.8, alpha=1.0 if strong else 0.35, zorder=2 + strong
        )
    axis.set(xlim=(0, values.shape[1] - 1), xlabel="iteration")


def middle(rises: Sequence[float]) -> int:
    """Place of the median run by its rise, the upper one of two: neither the calmest nor the wildest stands out."""
    order = sorted(range(len(rises)), key=lambda i: rises[i])
    return order[len(order) // 2]
