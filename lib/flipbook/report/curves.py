"""What success costs: how many images an attack has after so many passes, and how much they changed."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flipbook.report.figures import WIDTH


def success_and_distortion(rows: pd.DataFrame, title: str = "") -> Figure:
    """Two panels: share of images that reached the goal against passes, and their mean squared change.

    Parameters
    ----------
    rows : DataFrame
        From `experiment.grid`: one row per image and trial.
    title : str
        Above both panels.
    """
    trials = (rows["method"] + " " + rows["parameters"]).rename("trial")
    order = list(dict.fromkeys(trials))
    colours = _colours(rows)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH * 1.25, 1.6 + 0.24 * len(order)), width_ratios=(1.3, 1), layout="constrained"
    )
    for name, part in rows.groupby(trials, sort=False):
        _share_reached(left, part, colours[name], name)
    left.set(xscale="log", ylim=(-0.02, 1.04), xlabel="forward + backward passes for the image", ylabel="share reached")
    won = rows.assign(trial=trials)[rows["reached"] & (rows["mse"] > 0)]
    sns.boxplot(
        won, y="trial", x="mse", order=order, hue="trial", palette=colours, ax=right, fliersize=2, linewidth=0.8
    )
    right.set(xscale="log", xlabel="MSE of the images that reached it", ylabel="")
    figure.suptitle(title, fontsize=12)
    return figure


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
