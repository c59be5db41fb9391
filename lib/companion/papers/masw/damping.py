"""What MADW's parameters do (MASW, Figure S.5), and that its printed form does not attack."""

from dataclasses import replace

import pandas as pd

from companion.papers.masw import experiments as paper
from companion.papers.masw.experiments import Block, Setup
from companion.papers.masw.stationarity import madw_printed
from flipbook.evaluation import AttackConfig

BLOCK: Block = ("worst", 10)
IMAGES = 12  # those of the tables
LITERAL = 2  # images on which the printed form is run
LAM1 = (0.1, 0.5, 0.9)
ETA = (1.01, 1.015, 1.05)
FACTORS = ((1.5, 5.0), (2.0, 3.0))
GRIDS = {
    "λ₁": {f"{value:g}": {"lam1": value} for value in LAM1},
    "η": {f"{value:g}": {"eta": value} for value in ETA},
    "(f_in, f_de)": {f"({a:g}, {b:g})": {"f_in": a, "f_de": b} for a, b in FACTORS},
}


def run(setup: Setup, **options) -> pd.DataFrame:
    """Rows of `paper.run` for every value of every parameter, after the columns parameter and value (as a text)."""
    tables = []
    for parameter, values in GRIDS.items():
        configs = [_config(setup, value, hyper) for value, hyper in values.items()]
        rows = paper.run(setup, {BLOCK: configs}, **options)
        tables.append(rows.assign(parameter=parameter, value=rows["method"]))
    return pd.concat(tables, ignore_index=True)


def _config(setup: Setup, shown: str, hyper: dict) -> AttackConfig:
    return paper.config(setup, "MADW", BLOCK, shown=shown, **hyper)


def literal(setup: Setup, **options) -> pd.DataFrame:
    """Rows of both readings of MADW on the first images, untargeted with k = 3, the printed one with the scene's T."""
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
    return means if parameter == "(f_in, f_de)" else means.set_axis([float(value) for value in means.index])
