"""Figure 5 of the MASW paper: the self-paced loop beside the usual one, with a run's own numbers."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor

from companion.report.figures import WIDTH

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
