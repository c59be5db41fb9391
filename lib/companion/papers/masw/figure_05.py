"""Figure 5 of the MASW paper: one run step by step, and why Eq. (23) is not taken to the letter."""

from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.printed import masw_printed
from companion.report import Claims
from companion.report.figures import WIDTH
from flipbook import evaluation
from flipbook.attacks import masw
from flipbook.evaluation import AttackConfig

_LETTER = {"reference": "k+1", "normalise": False}
_HINGED = _LETTER | {"hinged": True}
OURS, PRINTED, UNWEIGHTED = "MASW as run here", "Eq. 23 as printed", "Eq. 23, all weights 1"
# Reading: the attack, its options, and what its margins compare
FORMS = {
    OURS: (masw, {}, "logit"),
    "MASW: all weights 1": (masw, {"weights": "none"}, "logit"),
    "MASW: reference of rank k + 1": (masw, {"reference": "k+1"}, "logit"),
    "MASW: weights not scaled to mean 1": (masw, {"normalise": False}, "logit"),
    "MASW: on probabilities": (masw, {}, "probability"),
    PRINTED: (masw_printed, _LETTER, "probability"),
    UNWEIGHTED: (masw_printed, _LETTER | {"weights": "none"}, "probability"),
    "Eq. 23 on logits": (masw_printed, _LETTER, "logit"),
    "Eq. 23 with hinges": (masw_printed, _HINGED, "probability"),
    "Eq. 23 with hinges, on logits": (masw_printed, _HINGED, "logit"),
    "Eq. 16, as printed": (masw, _LETTER | {"form": "theta"}, "probability"),
}


def configs(setup: paper.Setup, block: paper.Block) -> list[AttackConfig]:
    """MASW in each reading of its text, with all else equal."""
    return [
        replace(
            paper.config(setup, "MASW", block, name, **options),
            attack=attack,
            goal=setup.goal(block, True, scores=scores),
        )
        for name, (attack, options, scores) in FORMS.items()
    ]


def lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Means by form: ASR, SASR and LFR in percent, the length of the kept perturbation, and steps to it."""
    groups = rows.groupby("method", sort=False)
    means = 100 * groups[["asr", "sasr", "lfr"]].mean()
    return means.join(groups[["l2", "iterations"]].mean()).assign(images=groups.size()).reset_index()


def claim(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """To the letter the attack fails, and weights change nothing; the reading under test attacks."""
    by = {name: part.set_index("image") for name, part in rows.groupby("method", sort=False)}
    share = {name: part["success"].mean() for name, part in by.items()}
    figures = f"{100 * share[PRINTED]:.0f} % against {100 * share[OURS]:.0f} %"
    text = "Eq. 23 as printed succeeds on less than half as many images as the reading run here"
    claims.check(text, place, figures, share[PRINTED] < 0.5 * share[OURS])
    columns = ["l2", "asr", "sasr", "lfr", "iterations"]
    same = by[PRINTED][columns].equals(by[UNWEIGHTED][columns])
    text = "In Eq. 23 as printed weights change nothing: the images are the same with all weights 1"
    claims.check(text, place, "the same" if same else "not the same", same)


@dataclass(frozen=True, eq=False)
class Steps:
    """One image's runs of MASW and TkML.

    Attributes
    ----------
    setup : paper.Setup
        Of this image alone.
    traces : dict of str to Tensor (steps + 1,)
        Of MASW: "hinges", "weight", "threshold" and "violated"; "TkML": its loss.
    reached : dict of str to int or None
        By method, the step with the top-k ranking as wanted, if it was found.
    seconds : float
    """

    setup: paper.Setup
    traces: dict[str, Tensor]
    reached: dict[str, int | None]
    seconds: float


QUANTITIES = ("hinges", "violated", "weight", "threshold")


def steps(setup: paper.Setup, block: paper.Block, **options) -> Steps:
    """Run MASW and TkML on the setup's first image and keep what they see of it."""
    setup = setup[[0]]
    kinds = {"MASW": QUANTITIES, "TkML": ("loss",)}
    runs = {
        name: paper.run(setup, {block: [paper.config(setup, name, block, trace=trace)]}, **options)
        for name, trace in kinds.items()
    }
    traces = {name: _made(evaluation.traces(runs["MASW"], name)[0]) for name in QUANTITIES}
    traces["TkML"] = _made(evaluation.traces(runs["TkML"], "loss")[0])
    reached = {
        name: int(rows["iterations"].iloc[0]) if rows["success"].iloc[0] else None for name, rows in runs.items()
    }
    return Steps(setup, traces, reached, sum(rows["seconds"].sum() for rows in runs.values()))


def _made(path: Tensor) -> Tensor:
    """The part of a trace (T + 1,) before its image left."""
    return path[~path.isnan()]


PACED = (
    "logits z\nof x + δ",
    "slack\nζ = max(0, v)",
    "objective fell?\nε ← η ε, else\nmean of two",
    "weights\nw = ε / max(ζ, ε)",
    "step on\nΣ λ w ζ,\ninto the ball",
)
USUAL = ("logits z\nof x + δ", "loss L(z),\nall labels alike", "step on L,\ninto the ball")
NEW = (1, 2, 3)  # of the self-paced boxes, those that the usual loop lacks
TRACES = {
    "hinges": "Σ ζ",
    "violated": "constraints\nviolated",
    "weight": "mean w of\nviolated",
    "threshold": "threshold ε",
}
MEASURES = {"asr": "ASR", "sasr": "SASR", "lfr": "LFR"}


def loops(traces: dict[str, Tensor], reached: dict[str, int | None], forms: pd.DataFrame) -> Figure:
    """Draw both loops as boxes, below each the trace of a run, and at the bottom readings of the paper's text.

    Parameters
    ----------
    traces : dict of str to Tensor (steps + 1,)
        The four of `TRACES` for the self-paced loop, and "TkML" for the usual one.
    reached : dict of str to int or None
        Step of success of "MASW" and "TkML".
    forms : DataFrame
        From `papers.masw.forms.lines`.
    """
    figure = plt.figure(figsize=(WIDTH * 1.45, 10), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1.3, 3.2, 3))
    left, right = top.subplots(1, 2, width_ratios=(5, 3))
    _boxes(left, PACED, NEW, "Self-paced (MASW)")
    _boxes(right, USUAL, (), "Usual (TkML)")
    _traces(middle, traces, reached)
    _forms(bottom, forms)
    return figure


def _boxes(axis: Axes, texts: tuple[str, ...], new: tuple[int, ...], title: str) -> None:
    """Boxes from left to right with arrows between, and one back from the last to the first."""
    axis.set(xlim=(0, len(texts)), ylim=(-0.35, 1))
    axis.set_axis_off()
    axis.set_title(title, fontsize=12, weight="bold")
    arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.2}
    for i, text in enumerate(texts):
        colour = sns.color_palette("pastel")[2 if i in new else 7]
        axis.add_patch(FancyBboxPatch((i + 0.1, 0.2), 0.8, 0.7, boxstyle="round,pad=0.02", fc=colour, ec="0.4"))
        axis.text(i + 0.5, 0.55, text, ha="center", va="center", fontsize=9)
        if i:
            axis.annotate("", (i + 0.08, 0.55), (i - 0.08, 0.55), arrowprops=arrow)
    end = len(texts) - 0.5
    axis.plot([end, end, 0.5], [0.17, -0.1, -0.1], color="black", lw=1.2)
    axis.annotate("", (0.5, 0.19), (0.5, -0.12), arrowprops=arrow)
    axis.text(len(texts) / 2, -0.15, "next iteration", ha="center", va="top", fontsize=9)


def _traces(figure: Figure, traces: dict[str, Tensor], reached: dict[str, int | None]) -> None:
    axes = figure.subplot_mosaic([[name, "TkML"] for name in TRACES], width_ratios=(5, 3), sharex=True)
    for name, text in (TRACES | {"TkML": "loss L"}).items():
        axis, path = axes[name], traces[name]
        method = "TkML" if name == "TkML" else "MASW"
        axis.plot(path.cpu(), color=sns.color_palette()[0 if method == "MASW" else 1], marker="o", ms=3, lw=1.4)
        if reached[method] is not None:
            axis.axvline(reached[method], color="0.4", lw=1, ls="--")
        axis.set_ylabel(text, fontsize=9, rotation=0, ha="right", va="center")
        axis.tick_params(labelsize=9)
    for name in ("threshold", "TkML"):
        axes[name].set_xlabel("iteration; dashed: success", fontsize=10)
    axes["weight"].set(yscale="log")


def _forms(figure: Figure, forms: pd.DataFrame) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(5, 3), sharey=True)
    names = list(forms["method"])
    for place, (measure, label) in enumerate(MEASURES.items()):
        at = [i + 0.26 * (place - 1) for i in range(len(names))]
        left.barh(at, forms[measure], height=0.24, label=label, color=sns.color_palette()[place])
    left.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 104), xlabel="%", ylim=(len(names) - 0.4, -0.6))
    left.legend(fontsize=9, loc="center right", frameon=True)
    left.set_title("Readings of the method", fontsize=11)
    right.barh(range(len(names)), forms["l2"], height=0.6, color="0.5")
    right.set(xlabel="L2 norm of the kept perturbation")
    for axis in (left, right):
        axis.grid(axis="y", visible=False)
