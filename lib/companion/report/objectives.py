"""Figure S.6 of the MASW paper: objectives along runs, and the share of runs in which they rise."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.report.figures import WIDTH
from companion.report.run_paths import draw_paths, middle


def objectives(
    paths: dict[str, dict[str, Tensor]], rises: dict[str, dict[str, list[float]]], shares: pd.DataFrame
) -> Figure:
    """Draw a row of paths a data set, a column a method, and below bars of the shares.

    Parameters
    ----------
    paths : dict of dict of Tensor (n, T + 1)
        By data set and method; what follows a comma in a method's name is no part of it.
    rises : dict of dict of list of float
        By data set and method, for each run; the one in the middle is drawn thick.
    shares : DataFrame
        setting, method, measure and share in percent, a line a bar and data set.
    """
    rows, columns = len(paths), max(map(len, paths.values()))
    figure = plt.figure(figsize=(WIDTH * 1.4, 1.9 * rows + 2.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.75 * rows, 2.5))
    axes = above.subplots(rows, columns, squeeze=False, sharex=True)
    colours = dict(zip(shares["method"].unique(), sns.color_palette(), strict=False))
    for row, (dataset, of) in enumerate(paths.items()):
        for column, (method, values) in enumerate(of.items()):
            axis = axes[row, column]
            draw_paths(axis, values, colours[method.partition(",")[0]], middle(rises[dataset][method]))
            axis.set(title="" if row else method, xlabel="iteration" if row == rows - 1 else "")
            axis.set(ylabel=f"{dataset}\nobjective" if column == 0 else "")
    _bars(below.subplots(1, shares["measure"].nunique(), sharey=True, squeeze=False)[0], shares, colours)
    return figure


def _bars(axes: list[Axes], shares: pd.DataFrame, colours: dict[str, tuple]) -> None:
    """One plot a measure: groups of bars by setting, a colour a method, data sets averaged with a dot each."""
    for axis, (measure, part) in zip(axes, shares.groupby("measure", sort=False), strict=True):
        options = {"x": "setting", "y": "share", "hue": "method", "ax": axis}
        sns.barplot(part, errorbar=None, palette=colours, alpha=0.75, legend=axis is axes[0], **options)
        sns.stripplot(part, dodge=True, palette="dark:black", size=3.5, jitter=False, legend=False, **options)
        axis.set(title=measure, xlabel="", ylabel="fluctuating runs, %", ylim=(0, 104))
    axes[0].legend(loc="upper left", fontsize=9)
