"""The claims of MASW's ablations, Figures 8, 9 and S.4."""

import numpy as np
import pandas as pd

from companion.papers.masw import claims as claim
from companion.papers.masw.ablation import SHORT, TABLES, TIGHT
from companion.report import Claims

_MEASURES = ("success", "lfr")


def figure_08(rows: pd.DataFrame) -> Claims:
    """The new measures help (a), and so does SPW, on ML-C&W (b) and on TkML (c)."""
    claims = Claims()
    for ball, of in _part(rows, "a: measures"):
        text = f"the new measures alone (w = 1) hide more labels than TkML, {ball}"
        claim.more(claims, of, "MASW, w = 1", "TkML", "lfr", "Figure 8a", text)
        for name in ("TkML", "MASW, w = 1"):
            text = f"{name} succeeds more often than ML-C&W, {ball}"
            claim.more(claims, of, name, "ML-C&W", "success", "Figure 8a", text)
    for name, place in (("ML-C&W", "Figure 8b"), ("TkML", "Figure 8c")):
        for ball, of in _part(rows, f"{place[-1]}: {name}"):
            for measure in _MEASURES:
                text = f"SPW raises {name}'s {claim.NAMES[measure]}, {ball}"
                claim.more(claims, of, f"{name} + SPW", name, measure, place, text)
    both = rows[rows["part"].isin(["c: TkML", "ours: exact"]) & (rows["ball"] == TABLES)]
    text = "SPW does better with the exact ranking than with TkML's z[k]"
    claim.more(claims, both, "exact ranking + SPW", "TkML + SPW", "success", "our reading, Figure 8c", text)
    steps = rows[(rows["part"] == "ours: exact") & (rows["method"] == "exact ranking + SPW")]
    text = "SPW on the exact ranking succeeds more often with a quarter of the step"
    claim.more(claims, steps, TABLES + SHORT, TABLES, "success", "our reading, Figure 8c", text, "ball")
    return claims


def figure_09(rows: pd.DataFrame) -> Claims:
    """SPW's rule for ε beats the fixed threshold and SPL's."""
    claims = Claims()
    balls = dict(_part(rows, "as published"))
    for other in ("FE", "SPL"):
        _higher(claims, balls[TIGHT], "SPW", other, "Figure 9", TIGHT)
        _smaller(claims, balls[TABLES], "SPW", other, "Figure 9", TABLES)
    groups = rows.astype({"asr": float}).groupby(["part", "ball", "image"])
    spread = groups[["asr", "sasr", "lfr"]].agg(np.ptp).max(axis=1)
    same = (spread < 1e-6).mean()
    figures = f"on {100 * same:.0f} % of images and settings"
    claims.check("the three rules end with the same labels hidden and ranked", "our reading", figures, same >= 0.9)
    return claims


def figure_s04(rows: pd.DataFrame) -> Claims:
    """SPW raises MASW's success and hidden labels and shrinks its perturbation."""
    claims = Claims()
    for ball, of in _part(rows, "MASW"):
        _higher(claims, of, "with SPW", "without SPW", "Figure S.4", ball)
        _smaller(claims, of, "with SPW", "without SPW", "Figure S.4", ball)
        text = f"with SPW has a higher SASR than without SPW, {ball}"
        claim.more(claims, of, "with SPW", "without SPW", "sasr", "Table I, by its measure", text)
    return claims


CLAIMS = {"figure-08": figure_08, "figure-09": figure_09, "figure-s04": figure_s04}


def _part(rows: pd.DataFrame, name: str):
    """Rows of a part within each of its balls."""
    own = rows[rows["part"] == name]
    balls = (TABLES, TIGHT, TIGHT + SHORT)
    return [(ball, own[own["ball"] == ball]) for ball in balls if (own["ball"] == ball).any()]


def _higher(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, place: str, where: str) -> None:
    for measure in _MEASURES:
        text = f"{mine} has a higher {claim.NAMES[measure]} than {theirs}, {where}"
        claim.more(claims, rows, mine, theirs, measure, place, text)


def _smaller(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, place: str, where: str) -> None:
    claim.smaller(claims, rows, mine, theirs, "l2", place, f"{mine} needs smaller perturbations than {theirs}, {where}")
