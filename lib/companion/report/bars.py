"""Bars of measures side by side, with an interval on each."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from companion.report.figures import WIDTH


def bars(
    lines: dict[str, pd.DataFrame],
    measures: dict[str, str],
    interval: Callable,
    x: str = "case",
    hue: str = "method",
    height: float = 2.3,
    xlabel: str = "",
) -> Figure:
    """Draw a line of plots for every set of rows, a plot a measure.

    Parameters
    ----------
    lines : dict of str to DataFrame
        Rows, one an image and bar, by what is written beside the line. Each line has its own legend.
    measures : dict of str to str
        Columns to draw, with the labels of their axes. A bar is the mean over its rows.
    interval : callable
        Values of a bar to the two ends of its interval.
    x, hue : str
        Columns that bars are placed and coloured by, in order of appearance.
    height : float
        Of a line, in inches.
    xlabel : str
        Below all plots.
    """
    size = (WIDTH * 1.2, height * len(lines) + 0.2)
    figure, axes = plt.subplots(len(lines), len(measures), figsize=size, squeeze=False, layout="constrained")
    for axis, label in zip(axes[0], measures.values(), strict=True):
        axis.set_title(label, fontsize=10)
    for (title, rows), row in zip(lines.items(), axes, strict=True):
        for axis, (name, label) in zip(row, measures.items(), strict=True):
            sns.barplot(
                rows, x=x, y=name, hue=hue, errorbar=interval, ax=axis, err_kws={"linewidth": 1, "color": "0.25"},
                legend=axis is row[-1], width=0.8,
            )  # fmt: skip
            axis.set(xlabel="", ylabel="", ylim=(0, None if rows[name].max() > 100 else _top(label)))
        row[0].set_ylabel(title, fontsize=10)
        row[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=9)
    figure.supxlabel(xlabel, fontsize=10)
    return figure


def _top(label: str) -> float | None:
    """Rates end at 100 on every axis, so that plots compare; sizes end where they do."""
    return 104 if "%" in label else None
