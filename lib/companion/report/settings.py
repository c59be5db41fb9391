"""Figure 10 of the MASW paper: success against λ1 and η, and the threshold along runs."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.papers.masw.settings import ALONE, GROWTH, TOGETHER
from companion.report.figures import WIDTH
from companion.report.run_paths import draw_paths

MEASURES = {"asr": "ASR", "sasr": "SASR", "lfr": "LFR"}


def by_setting(lines: pd.DataFrame, paths: dict[str, Tensor]) -> Figure:
    """Draw (a) λ1 in both ways, (b) η, with bands of two standard errors, and (c) thresholds by kind of image.

    Parameters
    ----------
    lines : DataFrame
        From `papers.masw.settings.lines`.
    paths : dict of str to Tensor (n, T + 1)
        Thresholds by kind of image; the first of a kind is drawn thick. A kind may have none.
    """
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH * 1.4, 3.4), layout="constrained")
    by = dict(list(lines.groupby("method", sort=False)))
    _rates(axes[0], by[ALONE], "-", band=True)
    _rates(axes[0], by[TOGETHER], "--", band=False)
    axes[0].plot([], [], "-", color="black", label="λ2 = 0.5")
    axes[0].plot([], [], "--", color="black", label="λ2 = 1 - λ1")
    axes[0].set(xlabel="λ1", ylabel="%", title="(a)")
    axes[0].legend(fontsize=9, loc="lower left", ncols=2)
    _rates(axes[1], by[GROWTH], "-", band=True)
    axes[1].set(xlabel="η", title="(b)")
    for (kind, values), colour in zip(paths.items(), sns.color_palette()[3:], strict=False):
        if len(values):
            draw_paths(axes[2], values, colour)
        axes[2].plot([], [], color=colour, label=f"{kind} ({len(values)})")
    axes[2].set(xlabel="iteration", ylabel="ε", title="(c)")
    axes[2].legend(fontsize=9, loc="upper left")
    return figure


def _rates(axis: Axes, lines: pd.DataFrame, style: str, band: bool) -> None:
    for (measure, name), colour in zip(MEASURES.items(), sns.color_palette(), strict=False):
        label = name if band else None
        axis.plot(lines["value"], lines[measure], style, color=colour, marker="o", ms=4, label=label)
        if band:
            error = lines[f"± {measure}"]
            low, high = (lines[measure] - error).clip(0), (lines[measure] + error).clip(upper=100)
            axis.fill_between(lines["value"], low, high, color=colour, alpha=0.12, lw=0)
    axis.set(ylim=(0, 104))
