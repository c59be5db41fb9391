"""Figure 4 of the MASW paper: what each goal does to one image's ranking."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.figure_02_03 import logits_of, with_labels
from companion.report.figures import WIDTH, draw_image
from flipbook import evaluation
from flipbook.goals import Goal


@dataclass(frozen=True, eq=False)
class Ranking:
    """The labels of one image in the order of their logits.

    Attributes
    ----------
    title : str
    image : Tensor (channels, H, W)
    names : list of C str
        Largest logit first.
    kinds : list of C str
        "own" for Y, "target" for Y_t, "other".
    on : int
        Number of labels above 0.5.
    k : int
    reached : bool or None
        Whether the goal is, with sides of the threshold; None for the clean image.
    """

    title: str
    image: Tensor
    names: list[str]
    kinds: list[str]
    on: int
    k: int
    reached: bool | None


def rankings(setup: paper.Setup, labels: int, k: int, case: str, **options) -> tuple[list[Ranking], int, float]:
    """The clean image between what MASW makes of it, targeted and untargeted.

    Parameters
    ----------
    setup : paper.Setup
    labels : int
        |Y|. The image is the first with so many labels on which both attacks reach their goals in full; without any
        the first.
    k, case
        Of the targets.

    Returns
    -------
    list of 3 Ranking
        Targeted, clean, untargeted.
    int
        Its place in the data set.
    float
        Seconds of the attacks.
    """
    setup = setup[with_labels(setup, labels)]
    blocks = {"targeted": (case, k), "untargeted": ("", k)}
    runs = {
        name: paper.run(setup, {block: [paper.config(setup, "MASW", block)]}, keep_images=len(setup.indices), **options)
        for name, block in blocks.items()
    }
    both = runs["targeted"]["reached"].to_numpy(bool) & runs["untargeted"]["reached"].to_numpy(bool)
    i = int(both.argmax())
    one = setup[[i]]
    targets = one.targets(case, k)[0]
    none = torch.zeros_like(targets)
    pictures = {name: evaluation.pictures(rows)[i] for name, rows in runs.items()}
    goals = {name: one.goal(block, True) for name, block in blocks.items()}
    drawn = [
        _ranking(one, pictures["targeted"], "targeted", targets, k, goals["targeted"]),
        _ranking(one, one.images[0], "clean", targets, k, None),
        _ranking(one, pictures["untargeted"], "untargeted", none, k, goals["untargeted"]),
    ]
    seconds = sum(rows["seconds"].sum() for rows in runs.values())
    return drawn, one.indices[0], seconds


def _ranking(setup: paper.Setup, image: Tensor, title: str, targets: Tensor, k: int, goal: Goal | None) -> Ranking:
    logits = logits_of(setup, image[None])
    order = logits[0].argsort(descending=True, stable=True).tolist()
    own = setup.present[0]
    kinds = ["own" if own[j] else "target" if targets[j] else "other" for j in order]
    reached = None if goal is None else bool(goal.reached(logits)[0])
    names = [setup.data.labels[j] for j in order]
    return Ranking(title, image, names, kinds, int((logits > 0).sum()), k, reached)


KINDS = {"own": (3, "Y, the image's labels"), "target": (2, "Y_t, the targets"), "other": (7, "other labels")}


def draw_rankings(drawn: list[Ranking], titles: list[str]) -> Figure:
    """Draw a column a ranking: its image above, its labels below, largest logit first.

    Parameters
    ----------
    drawn : list of Ranking
    titles : list of str
        One each.
    """
    rows = len(drawn[0].names)
    figure, axes = plt.subplots(
        2, len(drawn), figsize=(WIDTH * 1.1, 2.6 + 0.2 * rows), height_ratios=(1.9, 0.2 * rows), layout="constrained"
    )
    for column, (ranking, title) in enumerate(zip(drawn, titles, strict=True)):
        draw_image(axes[0, column], ranking.image, "", "")
        axes[0, column].set_title(title, fontsize=11)
        _list(axes[1, column], ranking)
    handles = [Patch(color=sns.color_palette("pastel")[colour], label=text) for colour, text in KINDS.values()]
    handles.append(Patch(fc="none", ec="black", lw=2, label=f"the first {drawn[0].k}"))
    handles.append(Patch(fc="none", ec="black", ls=":", lw=1.5, label="above 0.5"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9)
    return figure


def _list(axis: Axes, ranking: Ranking) -> None:
    rows = len(ranking.names)
    axis.set(xlim=(-0.09, 1.09), ylim=(rows + 0.2, -0.3))
    axis.set_axis_off()
    for place, (name, kind) in enumerate(zip(ranking.names, ranking.kinds, strict=True)):
        colour = sns.color_palette("pastel")[KINDS[kind][0]]
        axis.add_patch(Rectangle((0.04, place + 0.06), 0.92, 0.88, color=colour, lw=0))
        weight = "normal" if kind == "other" else "bold"
        axis.text(0.5, place + 0.52, name, ha="center", va="center", fontsize=9, weight=weight)
    axis.add_patch(Rectangle((0, 0), 1, ranking.k, fill=False, ec="black", lw=2))
    if ranking.on:
        axis.add_patch(Rectangle((-0.06, -0.15), 1.12, ranking.on + 0.2, fill=False, ec="black", lw=1.5, ls=":"))
