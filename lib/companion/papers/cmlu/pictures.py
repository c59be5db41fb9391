"""The figures of the CMLU paper that plot rates and costs: Figure 3 and, for its complexity columns, Table 1."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.papers.cmlu.claims import IMAGES, SETS
from companion.papers.cmlu.experiments import METHODS, SUMS, Setup
from companion.papers.cmlu.tables import colours, cumulated, shown
from companion.report.figures import WIDTH

CUT = ", clip"  # how `experiments.clipped` ends the names of its methods


def rates_by_size(means: pd.DataFrame, setups: Sequence[Setup]) -> Figure:
    """Draw FR against |Ω|, a column for each victim: the paper's methods, and below them sums scaled and cut.

    Parameters
    ----------
    means : DataFrame
        Of `tables.means`, methods of `experiments.clipped` among them.
    setups : sequence of Setup
    """
    size = (2.75 * len(setups) + 1.2, 6.4)
    figure, axes = plt.subplots(2, len(setups), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for column, setup in zip(axes.T, setups, strict=True):
        of = means[(means["dataset"] == setup.setting.dataset) & (means["model"] == setup.setting.model)]
        for axis, methods in zip(column, (METHODS, ("Oracle", *SUMS, *(name + CUT for name in SUMS))), strict=True):
            for place, method in enumerate(methods):
                _line(axis, of[of["method"] == method], method, 0.05 * (place - len(methods) // 2))
            axis.set(xticks=list(setup.omegas), ylim=(-3, 103))
        column[0].set_title(f"{setup.setting.name}\n{setup.setting.victim}, ε = {setup.setting.epsilon:g}", fontsize=10)
        column[1].set_xlabel("|Ω|")
    for line, title in zip(axes, ("as published", "sums scaled and cut"), strict=True):
        line[0].set_ylabel(f"FR in percent\n{title}")
        line[-1].legend(*line[-1].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return figure


def _line(axis: Axes, line: pd.DataFrame, method: str, shift: float) -> None:
    """One method: bars of one standard deviation over sets, pale points where there are too few for a verdict."""
    style, marker = _style(method)
    weak = (line["sets"] < SETS) | (line["images"] < IMAGES)
    x, fr = line["size"] + shift, line["fr"]
    axis.errorbar(x, fr, line["fr_std"], label=shown(method), elinewidth=0.4, **style)
    alpha = [0.25 if pale else 1 for pale in weak]
    axis.scatter(x, fr, s=26, facecolor=marker["mfc"], edgecolor=marker["mec"], alpha=alpha, zorder=3)


def many_targets(means: pd.DataFrame, printed: pd.DataFrame, setup: Setup) -> Figure:
    """Draw FR and NT_R against |Ω|, the paper's numbers beside ours; sums that were cut are dashed.

    Parameters
    ----------
    means : DataFrame
        Of `tables.means`, methods of `experiments.clipped` among them.
    printed : DataFrame
        Rows of Table 2.
    setup : Setup
    """
    theirs = printed.rename(columns={"target_set_size": "size"})
    theirs = theirs.assign(**{name: pd.to_numeric(theirs[name]) for name in ("size", "fr", "ntr")})
    sizes = sorted(set(theirs["size"]) | set(means["size"]))
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH * 1.3, 6.4), sharex=True, layout="constrained")
    for column, frame in zip(axes.T, (theirs, means), strict=True):
        for axis, measure in zip(column, ("fr", "ntr"), strict=True):
            for method, line in frame.dropna(subset=measure).groupby("method", sort=False):
                style, marker = _style(method)
                x = line["size"].map(sizes.index)
                axis.plot(x, line[measure], marker="o", ms=5, label=shown(method), **style, **marker)
        column[1].set(xlabel="|Ω|", xticks=range(len(sizes)), xticklabels=sizes, ylim=(0, None))
        column[0].set_ylim(-3, 103)
    axes[0, 0].set_title("printed: OpenImages, 100 labels", fontsize=10)
    axes[0, 1].set_title(f"{setup.setting.victim}, {len(setup.labels)} labels", fontsize=10)
    for axis, measure in zip(axes[:, 0], ("FR", "NT_R"), strict=True):
        axis.set_ylabel(f"{measure} in percent")
    handles, texts = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=5, fontsize=9)
    return figure


def _style(method: str) -> tuple[dict, dict]:
    """How the line and the points of a method look: dashed and hollow where a sum is cut."""
    color, cut = colours()[method.removesuffix(CUT)], method.endswith(CUT)
    wide = 2.4 if method.removesuffix(CUT) in ("Oracle", "CMLU_beta") else 1.3
    return {"color": color, "lw": wide, "ls": "--" if cut else "-"}, {"mfc": "white" if cut else color, "mec": color}


def costs(rows: pd.DataFrame, growth: pd.DataFrame, setup: Setup) -> Figure:
    """Draw the passes of training against the target sets served, and those of one epoch against the labels.

    Parameters
    ----------
    rows : DataFrame
        Of `experiments.rates` on this setup.
    growth : DataFrame
        Of `costs.growth`.
    setup : Setup
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH * 1.3, 3.8), layout="constrained", width_ratios=(1.2, 1))
    _served(left, rows, 2 ** len(setup.labels) - 1)
    for method, line in growth.groupby("method", sort=False):
        what = "a vector for each label" if method == "CMLU_beta" else "a vector for each set\nthat some image contains"
        right.plot(line["labels"], line["passes"], "o-", color=colours()[method], label=f"{shown(method)}: {what}")
    right.set(
        xlabel="labels that may be attacked",
        ylabel="passes of an epoch / its images",
        xticks=range(1, len(setup.labels) + 1),
        title="Counted, one epoch",
    )
    right.legend(loc="upper left", fontsize=8)
    figure.suptitle(setup.setting.victim, fontsize=10)
    return figure


def _served(axis: Axes, rows: pd.DataFrame, every: int) -> None:
    """Passes against target sets; methods whose curves coincide share one."""
    curves = {}
    for method, line in cumulated(rows).groupby("method", sort=False):
        curves.setdefault(tuple(zip(line["sets"], line["passes"], strict=True)), []).append(method)
    for curve, together in curves.items():
        served, passes = zip(*curve, strict=True)
        beyond = passes[-1] + (passes[-1] - passes[0]) / (served[-1] - served[0]) * (every - served[-1])
        color = colours()["CMLU_beta" if "CMLU_beta" in together else together[0]]
        axis.plot(served, passes, "o-", color=color, label=", ".join(map(shown, together)))
        axis.plot([served[-1], every], [passes[-1], beyond], "--", color=color, lw=1.2)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="target sets served",
        ylabel="training passes (forward + backward)",
        title=f"Counted (points), computed on to all {every} sets",
    )
    axis.legend(loc="upper left", fontsize=8)
