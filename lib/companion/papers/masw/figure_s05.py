"""Figure S.5 of the MASW paper: MADW's parameters, and that its printed form does not attack."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from companion.papers.masw import claims as claim
from companion.papers.masw import experiments as paper
from companion.papers.masw.experiments import Block, Setup
from companion.papers.masw.stationarity import madw_printed
from companion.report import Claims
from flipbook.evaluation import AttackConfig

BLOCK: Block = ("worst", 10)
IMAGES = 12  # those of the tables
LITERAL = 2  # images on which the printed form is run
PAIRS = "(f_in, f_de)"


def grids(
    lambdas: Sequence[float], etas: Sequence[float], f_ins: Sequence[float], f_des: Sequence[float]
) -> dict[str, dict[str, dict]]:
    """Options of MADW by parameter and value, as a text; f_in and f_de go in pairs."""
    return {
        "λ₁": {f"{value:g}": {"lam1": value} for value in lambdas},
        "η": {f"{value:g}": {"eta": value} for value in etas},
        PAIRS: {f"({a:g}, {b:g})": {"f_in": a, "f_de": b} for a, b in zip(f_ins, f_des, strict=True)},
    }


def run(setup: Setup, grids: dict[str, dict[str, dict]], **options) -> pd.DataFrame:
    """Rows of `paper.run` for every value of every parameter, after the columns parameter and value (as a text)."""
    tables = []
    for parameter, values in grids.items():
        configs = [_config(setup, value, hyper) for value, hyper in values.items()]
        rows = paper.run(setup, {BLOCK: configs}, **options)
        tables.append(rows.assign(parameter=parameter, value=rows["method"]))
    return pd.concat(tables, ignore_index=True)


def _config(setup: Setup, shown: str, hyper: dict) -> AttackConfig:
    return paper.config(setup, "MADW", BLOCK, shown=shown, **hyper)


def literal(setup: Setup, **options) -> pd.DataFrame:
    """Rows of both readings of MADW on the first images, untargeted with k = 3, the printed one with the setup's T."""
    few, block = setup[list(range(min(LITERAL, len(setup.indices))))], ("", 3)
    letter = paper.config(few, "MADW", block, "printed", max_iterations=setup.size.iterations)
    configs = [
        paper.config(few, "MADW", block, shown="Levenberg-Marquardt"),
        replace(letter, attack=madw_printed),
    ]
    return paper.run(few, {block: configs}, **options)


def summary(rows: pd.DataFrame, attacks: pd.DataFrame) -> pd.DataFrame:
    """A line for every value, then one for each reading of `literal`: parameter, value, asr, sasr, lfr, pert_all."""
    both = pd.concat([rows, attacks.assign(parameter="reading (untargeted, k = 3)", value=attacks["method"])])
    lines = paper.summarise(both, ["parameter", "value"])
    return lines[["parameter", "value", "asr", "sasr", "lfr", "pert_all", "iterations", "images"]]


def curve(rows: pd.DataFrame, parameter: str, measure: str) -> pd.Series:
    """Percent of a measure at each value of a parameter; by number where the values are numbers."""
    own = rows[rows["parameter"] == parameter]
    means = 100 * own.astype({measure: float}).groupby("value", sort=False)[measure].mean()
    return means if parameter == PAIRS else means.set_axis([float(value) for value in means.index])


def claims(rows: pd.DataFrame, attacks: pd.DataFrame) -> Claims:
    """λ₁ trades hidden labels for success, η = 1.015 and (1.5, 5) are best; the printed form does nothing."""
    claims = Claims()
    of = rows[rows["parameter"] == "λ₁"]
    low, high = sorted(of["value"].unique(), key=float)[:: max(1, of["value"].nunique() - 1)]
    claim.more(claims, of, high, low, "success", "Figure S.5a", "a larger λ₁ raises ASR")
    claim.more(claims, of, low, high, "lfr", "Figure S.5a", "a larger λ₁ lowers LFR")
    for measure in ("asr", "lfr"):
        text = f"η = 1.015 gives the highest {claim.NAMES[measure]}"
        claim.best_at(claims, text, "Figure S.5b", curve(rows, "η", measure), 1.015)
    own = rows[rows["parameter"] == PAIRS]
    for measure in ("success", "lfr"):
        text = f"(1.5, 5) has a higher {claim.NAMES[measure]} than (2, 3)"
        claim.more(claims, own, "(1.5, 5)", "(2, 3)", measure, "Figure S.5c", text)
    printed, ours = (attacks[attacks["method"] == name] for name in ("printed", "Levenberg-Marquardt"))
    figures = f"{100 * printed['asr'].mean():.0f} against {100 * ours['asr'].mean():.0f} % succeed"
    holds = not printed["asr"].any() and bool(ours["asr"].any())
    claims.check("as printed MADW does not attack", "our reading of Eq. S.12 to S.15", figures, holds)
    return claims
