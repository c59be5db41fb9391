"""What success costs: how many images an attack has after so many passes, and how much they changed."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from companion.report.figures import WIDTH


def success_and_distortion(rows: pd.DataFrame, title: str = "") -> Figure:
    """Two plots: share of images that reached the goal against passes, and their mean squared change.

    Parameters
    ----------
    rows : DataFrame
        From `evaluation.grid`: one row per image and attack. With a column `panel` (a victim each) every panel gets two
        plots of its own, one panel below the other.
    title : str
        Above all.
    """
    rows = rows.assign(trial=rows["method"] + " " + rows["parameters"])
    panels = list(rows.groupby("panel", sort=False)) if "panel" in rows else [("", rows)]
    colours = _colours(rows)
    heights = [1.3 + 0.24 * part["trial"].nunique() for _, part in panels]
    size = (WIDTH * 1.25, sum(heights) + 0.3)
    figure, axes = plt.subplots(
        len(panels), 2, figsize=size, width_ratios=(1.3, 1), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for (name, part), (left, right) in zip(panels, axes, strict=True):
        _plot_panel(left, right, part, colours)
        left.set_title(name, loc="left", fontsize=10)
    figure.suptitle(title, fontsize=12)
    return figure


def _plot_panel(left: Axes, right: Axes, rows: pd.DataFrame, colours: dict[str, tuple]) -> None:
    for name, part in rows.groupby("trial", sort=False):
        _share_reached(left, part, colours[name], name)
    left.set(xscale="log", ylim=(-0.02, 1.04), xlabel="forward + backward passes for the image", ylabel="share reached")
    won = rows[rows["reached"] & (rows["mse"] > 0)]
    order = list(dict.fromkeys(rows["trial"]))
    sns.boxplot(
        won, y="trial", x="mse", order=order, hue="trial", palette=colours, ax=right, fliersize=2, linewidth=0.8
    )
    right.set(xscale="log", xlabel="MSE of the images that reached it", ylabel="")
    right.xaxis.set_minor_formatter(NullFormatter())  # labels of less than a decade would run into each other
    if len(won):
        right.set_xlim(10 ** np.floor(np.log10(won["mse"].min())), 10 ** np.ceil(np.log10(won["mse"].max())))


def _colours(rows: pd.DataFrame) -> dict[str, tuple]:
    """A hue for every attack, a shade for each of its rows."""
    trials = rows[["method", "parameters"]].drop_duplicates()
    hues = dict(zip(trials["method"].unique(), itertools.cycle(sns.color_palette("colorblind"))))
    colours = {}
    for method, part in trials.groupby("method", sort=False):
        shades = sns.light_palette(hues[method], n_colors=len(part) + 2)[2:]
        colours |= {f"{method} {row.parameters}": shade for row, shade in zip(part.itertuples(), shades, strict=True)}
    return colours


def _share_reached(axis: Axes, part: pd.DataFrame, colour, name: str) -> None:
    """Empirical distribution of the passes to first success; what never succeeded is missing at the top."""
    passes = np.sort(part.loc[part["reached"], "first_success"])
    total = (part["forwards"] + part["backwards"]).max()
    x = np.concatenate([[1], passes, [max(total, 1)]])
    y = np.concatenate([[0], np.arange(1, len(passes) + 1), [len(passes)]]) / len(part)
    axis.step(x, y, where="post", color=colour, label=name, linewidth=1.6)
