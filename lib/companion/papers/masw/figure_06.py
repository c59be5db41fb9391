"""MASW's pictures of attacked images, Figures 6, S.1 and S.3: which are shown, and what the model says about them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from companion.papers.masw import claims as claim
from companion.papers.masw import experiments as paper
from companion.papers.masw.experiments import Block, Setup
from companion.report import Claims
from companion.report.figures import amplification
from companion.report.sparse import signed
from flipbook import evaluation
from flipbook.goals import top_k

IMAGES = 16
BRIGHTER = 4  # than drawn with the largest change at full range, so that the rest is seen; few entries saturate
OWN, AIM = "●", "→"  # before a label of the image, and before a target


@dataclass(frozen=True)
class Pictures:
    """What one figure shows.

    Attributes
    ----------
    blocks : tuple of (str, int)
        Cases and k, a line each for every image.
    methods : tuple of str
    shown : (int, int)
        The first of the images that fit best, and the one after the last.
    τ : float
        Radius in [0, 1] units; 0 for the tables'.
    fail : tuple of (Block, str)
        Blocks and methods that fail on the image sought; all others succeed.
    """

    blocks: tuple[Block, ...]
    methods: tuple[str, ...]
    shown: tuple[int, int] = (0, 1)
    τ: float = 0.0
    fail: tuple[tuple[Block, str], ...] = ()


FIGURES = {
    "figure-06": Pictures((("", 3), ("best", 3)), ("TkML", "MASW")),
    "figure-s01": Pictures((("", 3),), ("kFool", "TkML", "MASW"), (1, 4)),  # the first is in Figure 6
    "figure-s03": Pictures(
        (("best", 3), ("best", 5), ("best", 10)),
        ("Rank I", "TkML", "MASW"),
        τ=0.75,  # within the tables' 0.9 no image looks as the paper's does
        fail=((("best", 10), "Rank I"), (("best", 10), "TkML")),
    ),
}


def run(setup: Setup, of: Pictures, **options) -> pd.DataFrame:
    """Rows of `paper.run` for a figure, with the attacked images kept, after the columns top and own of `seen`."""
    options_of = {name: {"radius": of.τ} if of.τ and name != "kFool" else {} for name in of.methods}
    configs = {
        block: [paper.config(setup, name, block, **options_of[name]) for name in of.methods] for block in of.blocks
    }
    rows = paper.run(setup, configs, keep_images=len(setup.indices), **options)
    parts = [seen(setup, part) for _, part in rows.groupby(["case", "k", "method"], sort=False)]
    return pd.concat(parts).loc[rows.index]


def seen(setup: Setup, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one block and method with the mean probability of what the attack wants, and of the image's labels.

    Returns
    -------
    DataFrame
        The rows with top (targets, or without any the first k labels) and own (the image's labels).
    """
    block = rows["case"].iloc[0], int(rows["k"].iloc[0])
    probabilities = scores(setup, evaluation.pictures(rows))
    wanted = setup.targets(*block) if block[0] else top_k(probabilities, block[1])
    means = [(probabilities * of).sum(dim=1) / of.sum(dim=1) for of in (wanted, setup.present)]
    return rows.assign(top=means[0].numpy(), own=means[1].numpy())


def scores(setup: Setup, images: Tensor) -> Tensor:
    """Probabilities of all labels, (n, C) on the CPU."""
    device = next(setup.model.parameters()).device
    with torch.no_grad():
        return setup.model(images.to(device)).sigmoid().cpu()


def chosen(setup: Setup, rows: pd.DataFrame, of: Pictures) -> tuple[list[int], list[int]]:
    """Places of the images that are shown, and on how many attacks each differs from the figure's pattern.

    Those that differ least come first, of these the ones with two labels or more, of these the first drawn.
    """
    wrong = torch.zeros(len(setup.indices), dtype=torch.int64)
    for block in of.blocks:
        for name in of.methods:
            part = rows[(rows["case"] == block[0]) & (rows["k"] == block[1]) & (rows["method"] == name)]
            succeeds = torch.from_numpy(part["success"].to_numpy(copy=True))
            wrong += succeeds != ((block, name) not in of.fail)
    single = setup.present.sum(dim=1) < 2
    order = sorted(range(len(wrong)), key=lambda place: (int(wrong[place]), bool(single[place]), place))
    places = order[slice(*of.shown)]
    return places, wrong[places].tolist()


def strips(setup: Setup, rows: pd.DataFrame, of: Pictures, places: Sequence[int]) -> tuple[list, float]:
    """What `gallery.strips` draws, and the factor that perturbations are drawn with.

    A line for every image and block: the clean image, and for each attack its image and its perturbation. Under an
    image its first k labels with their probability, then its own labels where they are not among these.
    """
    pictures = {key: evaluation.pictures(part) for key, part in rows.groupby(["case", "k", "method"], sort=False)}
    clean = setup.images[list(places)].cpu()
    factor = BRIGHTER * amplification(clean, [images[list(places)] for images in pictures.values()])
    lines = []
    for place in places:
        for case, k in of.blocks:
            original = setup.images[place].cpu()
            aim = setup.targets(case, k)[place] if case else torch.zeros_like(setup.present[place])
            line = {"clean": (original, words(setup, place, original, k, aim))}
            for name in of.methods:
                image = pictures[case, k, name][place]
                line[name] = image, words(setup, place, image, k, aim)
                line[f"{name}: z × {factor:g}"] = signed(image - original, 1 / factor), ""
            lines.append((f"{f'{case} case' if case else 'untargeted'}, k = {k}", line))
    return lines, factor


def words(setup: Setup, place: int, image: Tensor, k: int, aim: Tensor) -> str:
    """The first k labels of an image, and its own others, a line each: mark, name and probability in percent."""
    p = scores(setup, image[None])[0]
    own = setup.present[place].cpu()
    first = p.argsort(descending=True, stable=True)
    listed = [*first[:k].tolist(), *(j for j in first[k:].tolist() if own[j])]
    lines = [f"{OWN if own[j] else AIM if aim[j] else ''} {setup.data.labels[j]} {100 * p[j]:.1f}" for j in listed]
    return "\n".join([*lines[:k], "…", *lines[k:]] if lines[k:] else lines)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a block and method over all images, not only those shown: rates and mean probabilities in percent."""
    by = ["case", "k", "method"]
    lines = paper.summarise(rows, by)[[*by, "asr", "lfr", "pert"]]
    means = 100 * rows.groupby(by, sort=False)[["top", "own"]].mean().reset_index(drop=True)
    return pd.concat([lines, means], axis=1)


HEADINGS = {"lfr": "LFR", "pert": "Pert", "top": "mean % of the first k or targets", "own": "mean % of its own labels"}


def claims(artefact: str, rows: pd.DataFrame, differs: int) -> Claims:
    """Confidences of the supplement's visual comparison, over all images; of S.3 also its pattern."""
    out, of = Claims(), FIGURES[artefact]
    place = {"figure-06": "Figure 6", "figure-s01": "Figure S.1", "figure-s03": "Figure S.3"}[artefact]
    if artefact == "figure-s03":
        text = "on an image all succeed with k = 3 and 5, and with k = 10 MASW alone"
        out.check(text, place, "found" if not differs else f"nearest differs in {differs} attacks", not differs)
        largest = rows[rows["k"] == max(rows["k"])]
        for other in of.methods[:-1]:
            text = f"with k = 10 MASW succeeds more often than {other}"
            claim.more(out, largest, "MASW", other, "success", place, text)
    if artefact == "figure-06":
        text = "on one image every attack succeeds"
        out.check(text, place, "found" if not differs else f"nearest differs in {differs} attacks", not differs)
        claim.not_below(out, rows, "MASW", "TkML", "lfr", place)
        return out
    what = "targets" if artefact == "figure-s03" else "first k labels"
    for other in of.methods[:-1]:
        text = f"MASW's {what} have a higher confidence than {other}'s"
        claim.more(out, rows, "MASW", other, "top", f"supplement, {place}", text)
        text = f"MASW leaves the image's own labels a lower confidence than {other}"
        claim.more(out, rows, other, "MASW", "own", f"supplement, {place}", text)
    return out
