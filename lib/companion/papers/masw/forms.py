"""Figure 5 of the MASW paper: one run step by step, and why Eq. (23) is not taken to the letter."""

from dataclasses import dataclass, replace

import pandas as pd
from torch import Tensor

from companion.papers.masw import experiments as masw
from companion.report import Claims
from flipbook import evaluation
from flipbook.evaluation import AttackConfig

_LETTER = {"form": "printed", "reference": "k+1", "normalise": False}
_HINGED = {"form": "slack", "reference": "k+1", "normalise": False}
OURS, PRINTED, UNWEIGHTED = "MASW as run here", "Eq. 23 as printed", "Eq. 23, all weights 1"
# Form: options of the attack, and what its margins compare
FORMS = {
    OURS: ({}, "logit"),
    "MASW: all weights 1": ({"weights": "none"}, "logit"),
    "MASW: reference of rank k + 1": ({"reference": "k+1"}, "logit"),
    "MASW: weights not scaled to mean 1": ({"normalise": False}, "logit"),
    "MASW: on probabilities": ({}, "probability"),
    PRINTED: (_LETTER, "probability"),
    UNWEIGHTED: (_LETTER | {"weights": "none"}, "probability"),
    "Eq. 23 on logits": (_LETTER, "logit"),
    "Eq. 23 with hinges": (_HINGED, "probability"),
    "Eq. 23 with hinges, on logits": (_HINGED, "logit"),
    "Eq. 16, as printed": (_HINGED | {"form": "theta"}, "probability"),
}


def configs(setup: masw.Setup, block: masw.Block) -> list[AttackConfig]:
    """MASW in each reading of its text, with all else equal."""
    return [
        replace(masw.config(setup, "MASW", block, name, **options), goal=setup.goal(block, True, scores=scores))
        for name, (options, scores) in FORMS.items()
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
    scene : masw.Scene
        Of this image alone.
    traces : dict of str to Tensor (steps + 1,)
        Of MASW: "hinges", "weight", "threshold" and "violated"; "TkML": its loss.
    reached : dict of str to int or None
        By method, the step with the top-k ranking as wanted, if it was found.
    seconds : float
    """

    setup: masw.Setup
    traces: dict[str, Tensor]
    reached: dict[str, int | None]
    seconds: float


QUANTITIES = ("hinges", "violated", "weight", "threshold")


def steps(setup: masw.Setup, block: masw.Block, **options) -> Steps:
    """Run MASW and TkML on the scene's first image and keep what they see of it."""
    setup = setup[[0]]
    kinds = {"MASW": QUANTITIES, "TkML": ("loss",)}
    runs = {
        name: masw.run(setup, {block: [masw.config(setup, name, block, trace=trace)]}, **options)
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
