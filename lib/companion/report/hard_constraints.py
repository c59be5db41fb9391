"""Figure 3 of the MASW paper: failure against the weight of hard constraints, and the objective along runs."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.report.figures import WIDTH
from companion.report.run_paths import draw_paths, middle

FAILURES = {"missed": "constraints missed", "afd_slc": "targets not among the first k"}
STYLES = {"missed": "-", "afd_slc": "--"}


def draw_failures(axis: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Draw relative failure against the factor, a colour a data set and a line style a measure.

    Parameters
    ----------
    axis : Axes
    curves : dict of str to DataFrame
        By measure: lines of dataset, factor, value and error, drawn as a band for the first measure only.
    """
    colours = dict(zip(next(iter(curves.values()))["dataset"].unique(), sns.color_palette(), strict=False))
    for place, (measure, lines) in enumerate(curves.items()):
        for dataset, part in lines.groupby("dataset", sort=False):
            axis.plot(part["factor"], part["value"], STYLES[measure], color=colours[dataset], marker="o", ms=4)
            if place == 0:
                low, high = part["value"] - part["error"], part["value"] + part["error"]
                axis.fill_between(part["factor"], low, high, color=colours[dataset], alpha=0.15, lw=0)
    axis.axhline(1, color="0.5", lw=0.8)
    for dataset, colour in colours.items():
        axis.plot([], [], "o", color=colour, label=dataset)
    for measure in curves:
        axis.plot([], [], STYLES[measure], color="black", label=FAILURES[measure])
    axis.set(xlabel="factor of the five hardest constraints", ylabel="failure, relative to factor 1")


def hard_constraints(curves: dict[str, pd.DataFrame], own: dict[str, Tensor], plain: dict[str, Tensor]) -> Figure:
    """Draw (a) failures, and by method (b, c) the objective above the same with all weights 1.

    Parameters
    ----------
    curves : dict of str to DataFrame
        As for `draw_failures`.
    own, plain : dict of str to Tensor (n, T + 1)
        Two methods' objectives along their runs on the same images, with and without weights.
    """
    figure = plt.figure(figsize=(WIDTH * 1.4, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.25, 1, 1))
    left = figure.add_subplot(grid[:, 0])
    draw_failures(left, curves)
    left.set_title("(a) ML-C&W")
    left.legend(fontsize=9, loc="upper right")
    top = 1.5 * max(float(values.nan_to_num(0.0).max()) for values in (*own.values(), *plain.values()))
    for column, (name, paths) in enumerate(own.items()):
        thick = middle(last_rises(plain[name]))
        for row, (what, values) in enumerate((("its objective", paths), ("all weights 1", plain[name]))):
            axis = figure.add_subplot(grid[row, 1 + column])
            draw_paths(axis, values, sns.color_palette()[2 + column], thick)
            axis.set(yscale="symlog", ylim=(0, top), ylabel=what if column == 0 else "")
            axis.set(xlabel="iteration" if row else "", title="" if row else f"({'bc'[column]}) {name}")
    return figure


def last_rises(paths: Tensor) -> list[float]:
    """By how much each path (n, steps) is above its lowest value, at most after that value."""
    return (paths - paths.cummin(dim=1).values).amax(dim=1).tolist()
