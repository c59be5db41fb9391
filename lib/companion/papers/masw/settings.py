"""Figure 10 of the MASW paper: what λ1 and η do, and the path of the threshold ε."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.claims import FEW, FEWEST
from companion.report import Claims
from flipbook import evaluation
from flipbook.evaluation import AttackConfig

LAMBDAS = (0.1, 0.3, 0.5, 0.7, 0.9)
ETAS = (1.001, 1.005, 1.01, 1.015, 1.02, 1.05)
ALONE, TOGETHER, GROWTH = "λ1, with λ2 = 0.5", "λ1, with λ2 = 1 - λ1", "η"


def _config(setup: paper.Setup, block: paper.Block, what: str, value: float, **options) -> AttackConfig:
    return replace(paper.config(setup, "MASW", block, what, **options), parameters=f"{value:g}")


def configs(
    setup: paper.Setup, block: paper.Block, lambdas: Sequence[float] = LAMBDAS, etas: Sequence[float] = ETAS
) -> list[AttackConfig]:
    """MASW with λ1 alone changed, with λ1 + λ2 = 1, and with η changed; the name says which, `parameters` the value.

    λ scales the step too, so that the paper's λ1 alone changes two things at once; λ1 + λ2 = 1 changes one.
    """
    changed = [(ALONE, value, {"lam1": value}) for value in lambdas]
    changed += [(TOGETHER, value, {"lam1": value, "lam2": round(1 - value, 6)}) for value in lambdas]
    changed += [(GROWTH, value, {"eta": value}) for value in etas]
    return [_config(setup, block, what, value, **options) for what, value, options in changed]


def lines(rows: pd.DataFrame) -> pd.DataFrame:
    """Means in percent by what is changed and its value, with two standard errors over images."""
    rows = rows.assign(value=rows["parameters"].astype(float))
    groups = rows.groupby(["method", "value"], sort=False)
    measures = ["asr", "sasr", "lfr"]
    means = 100 * groups[measures].mean()
    errors = (200 * groups[measures].std(ddof=1)).div(groups.size() ** 0.5, axis=0).add_prefix("± ")
    return means.join(errors).assign(iterations=groups["iterations"].mean(), images=groups.size()).reset_index()


def thresholds(setup: paper.Setup, block: paper.Block, **options) -> tuple[pd.DataFrame, Tensor]:
    """Rows of MASW runs that never stop early, and ε along each of them, (n, T + 1)."""
    config = paper.config(setup, "MASW", block, stop="never", trace=("threshold",))
    rows = paper.run(setup, {block: [config]}, **options)
    return rows, torch.stack(evaluation.traces(rows, "threshold"))


def still_growing(paths: Tensor, last: int = 20) -> Tensor:
    """Whether each threshold (n, T + 1) ends above what it was so many iterations before, (n,) of bool."""
    return paths[:, -1] > paths[:, -1 - last]


def most(claims: Claims, text: str, place: str, of: Tensor) -> None:
    """Something holds for more than half of some images (n,) of bool."""
    enough = len(of) >= FEWEST
    share = of.float().mean() if len(of) else 0
    claims.check(
        text, place, f"{int(of.sum())} of {len(of)}", bool(share > 0.5) if enough else None, "" if enough else FEW
    )
