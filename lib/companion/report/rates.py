"""Rates of many attacks as bars, with the paper's numbers as marks on them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.report.figures import WIDTH

THICK = 0.8  # of a method's bars together


def rate_bars(
    table: pd.DataFrame,
    measures: dict[str, str],
    settings: Sequence[str] = ("dataset",),
    hue: str = "k",
    top: float | None = 100,
    mark: str = "printed",
) -> Figure:
    """Draw a line of plots for every panel, a plot a measure: a bar for each method and value of `hue`.

    Parameters
    ----------
    table : DataFrame
        `frame` of `report.beside` with the columns `method`, `hue`, `panels`, and `ours_<measure>` and
        `paper_<measure>` (or `<measure>`, where only we have it); rows without a number of ours have no bar, and
        without a printed one no mark.
    measures : dict of str to str
        Measures with the labels of their plots.
    panels : sequence of str
        Columns whose combinations are the lines, in order of appearance.
    hue : str
        Column of the bars within a method.
    top : float, optional
        End of the axes of rates; None for sizes and times, which get a logarithmic axis.
    mark : str
        What the legend calls the paper's numbers.
    """
    parts = list(table.groupby(list(settings), sort=False))
    methods, values = list(dict.fromkeys(table["method"])), list(dict.fromkeys(table[hue]))
    colours = dict(zip(values, sns.color_palette("YlGnBu", len(values) + 2)[1:-1], strict=True))
    size = (1.25 * WIDTH, len(parts) * (0.6 + 0.085 * len(methods) * (1 + len(values))))
    figure, axes = plt.subplots(
        len(parts), len(measures), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    printed = False
    for (title, rows), line in zip(parts, axes, strict=True):
        for axis, (name, label) in zip(line, measures.items(), strict=True):
            printed |= _bars(axis, rows, name, methods, colours, hue)
            axis.set_title(f"{', '.join(title)}: {label}", fontsize=10)
            axis.set(xlim=(0, top * 1.02)) if top else axis.set_xscale("log")
            axis.tick_params(labelsize=9)
            axis.grid(visible=False, axis="y")
    axes[0, 0].set(yticks=range(len(methods)), yticklabels=methods, ylim=(len(methods) - 0.4, -0.6))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    names = [f"{hue} = {value}" for value in values]
    if printed:
        handles.append(plt.Line2D([], [], color="black", marker="|", linestyle="", markersize=9, markeredgewidth=1.6))
        names.append(mark)
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, measure: str, methods: list[str], colours: dict, hue: str) -> bool:
    """Draw one plot and return whether it has marks."""
    height, marked = THICK / len(colours), False
    ours = f"ours_{measure}" if f"ours_{measure}" in rows else measure
    for i, (value, colour) in enumerate(colours.items()):
        own = rows[rows[hue] == value].set_index("method").reindex(methods)
        y = np.arange(len(methods)) + (i - (len(colours) - 1) / 2) * height
        axis.barh(y, pd.to_numeric(own[ours]), height=height, color=colour, linewidth=0)
        if f"paper_{measure}" in rows:
            x = pd.to_numeric(own[f"paper_{measure}"], errors="coerce").to_numpy()
            axis.plot(x, y, "|", color="black", markersize=14 * height, markeredgewidth=1.6, clip_on=False)
            marked |= bool(np.isfinite(x).any())
    return marked
