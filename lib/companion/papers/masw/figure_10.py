"""Figure 10 of the MASW paper: the weights' parameters, and the threshold's path."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.papers.masw.claims import FEW, FEWEST
from companion.report import Claims
from companion.report.figures import WIDTH
from companion.report.run_paths import draw_paths
from flipbook import evaluation
from flipbook.evaluation import AttackConfig

ALONE, TOGETHER, GROWTH = "λ1, with λ2 = 0.5", "λ1, with λ2 = 1 - λ1", "η"


def _config(setup: paper.Setup, block: paper.Block, what: str, value: float, **options) -> AttackConfig:
    return replace(paper.config(setup, "MASW", block, what, **options), parameters=f"{value:g}")


def configs(
    setup: paper.Setup, block: paper.Block, lambdas: Sequence[float], etas: Sequence[float]
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


MEASURES = {"asr": "ASR", "sasr": "SASR", "lfr": "LFR"}


def by_setting(lines: pd.DataFrame, paths: dict[str, Tensor]) -> Figure:
    """Draw (a) λ1 in both ways, (b) η, with bands of two standard errors, and (c) thresholds by kind of image.

    Parameters
    ----------
    lines : DataFrame
        From `papers.masw.settings.lines`.
    paths : dict of str to Tensor (n, T + 1)
        Thresholds by kind of image; the first of a kind is drawn thick. A kind may have none.
    """
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH * 1.4, 3.4), layout="constrained")
    by = dict(list(lines.groupby("method", sort=False)))
    _rates(axes[0], by[ALONE], "-", band=True)
    _rates(axes[0], by[TOGETHER], "--", band=False)
    axes[0].plot([], [], "-", color="black", label="λ2 = 0.5")
    axes[0].plot([], [], "--", color="black", label="λ2 = 1 - λ1")
    axes[0].set(xlabel="λ1", ylabel="%", title="(a)")
    axes[0].legend(fontsize=9, loc="lower left", ncols=2)
    _rates(axes[1], by[GROWTH], "-", band=True)
    axes[1].set(xlabel="η", title="(b)")
    for (kind, values), colour in zip(paths.items(), sns.color_palette()[3:], strict=False):
        if len(values):
            draw_paths(axes[2], values, colour)
        axes[2].plot([], [], color=colour, label=f"{kind} ({len(values)})")
    axes[2].set(xlabel="iteration", ylabel="ε", title="(c)")
    axes[2].legend(fontsize=9, loc="upper left")
    return figure


def _rates(axis: Axes, lines: pd.DataFrame, style: str, band: bool) -> None:
    for (measure, name), colour in zip(MEASURES.items(), sns.color_palette(), strict=False):
        label = name if band else None
        axis.plot(lines["value"], lines[measure], style, color=colour, marker="o", ms=4, label=label)
        if band:
            error = lines[f"± {measure}"]
            low, high = (lines[measure] - error).clip(0), (lines[measure] + error).clip(upper=100)
            axis.fill_between(lines["value"], low, high, color=colour, alpha=0.12, lw=0)
    axis.set(ylim=(0, 104))
