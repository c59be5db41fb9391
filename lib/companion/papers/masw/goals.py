"""Figure 4 of the MASW paper: what the untargeted and the targeted attack ask of one image, and what they reach."""

from dataclasses import dataclass

import torch
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.hard import logits_of, with_labels
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
    scene : paper.Scene
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
