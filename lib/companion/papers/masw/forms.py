"""Figure 5 of the MASW paper: one run step by step, and why Eq. (23) is not taken to the letter."""

from dataclasses import dataclass, replace

import pandas as pd
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.printed import masw_printed
from companion.report import Claims
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
    scene : paper.Scene
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
    """Run MASW and TkML on the scene's first image and keep what they see of it."""
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
