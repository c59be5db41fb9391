"""Figures 3b, 3c and S.6 of the MASW paper: the objective along a run, and the share of runs in which it goes up."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.report import Table, beside, reported
from flipbook import evaluation
from flipbook.evaluation import AttackConfig

BURN_IN = 30  # iterations before which a run may go up and down
LARGEST = 0.3  # rise that counts as a fluctuation
METHODS = ("ML-C&W", "TkML", "MASW")
OTHERS = ("TkALC", "TkMIA")  # only counted; MADW makes too few steps on a laptop to be compared
MEASURES = {"fluctuates": "by its own objective", "fluctuates_unweighted": "by the hinges with all weights 1"}


def config(setup: paper.Setup, method: str, block: paper.Block, share: float = 1.0, **options) -> AttackConfig:
    """A method that runs on after success and keeps its objective; `share` of the panel's τ."""
    kind = paper.config(setup, method, block, **options)
    on = {"stop": "never"} if method == "MASW" else {"stop_on_success": False}
    sums_hinges = method in ("ML-C&W", "MASW") or (method == "TkML" and block[0])
    names = ("lagrangian", "hinges") if sums_hinges else ("loss",)
    hyper = kind.hyper | on | {"radius": share * kind.hyper["radius"], "trace": names}
    return AttackConfig(kind.method, f"{share:.2g} τ", kind.attack, hyper, goal=kind.goal)


def objective(rows: pd.DataFrame) -> Tensor:
    """The method's own objective along each run, (rows, T + 1); NaN where an image was never at work.

    Weights as they are; of a loss that is no sum of hinges, as TkML's untargeted one, the loss.
    """
    return _paths(rows, "lagrangian")


def unweighted(rows: pd.DataFrame) -> Tensor:
    """The same with all weights 1: the sum of the hinges, (rows, T + 1)."""
    return _paths(rows, "hinges")


def _paths(rows: pd.DataFrame, name: str) -> Tensor:
    parts = []
    for _, part in rows.groupby("run", sort=False):
        try:
            paths = evaluation.traces(part, name)
        except KeyError:
            paths = evaluation.traces(part, "loss")
        parts += zip(part.index, paths, strict=True)
    places = {row: place for place, row in enumerate(rows.index)}
    return torch.stack([path for _, path in sorted(parts, key=lambda pair: places[pair[0]])])


def rise(paths: Tensor, start: int = BURN_IN) -> Tensor:
    """By how much a path (n, T + 1) rises above its lowest value so far, at most, from iteration `start` on, (n,).

    Raises
    ------
    ValueError
        For paths that end before.
    """
    if paths.shape[1] <= start:
        raise ValueError(f"paths have {paths.shape[1] - 1} iterations, at least {start} are needed: run it longer")
    late = paths[:, start:].nan_to_num(0.0)
    return (late - late.cummin(dim=1).values).amax(dim=1)


def runs(setup: paper.Setup, block: paper.Block, methods: Sequence[str] = METHODS, share: float = 1.0, **options):
    """Rows of these methods with `rise` and `rise_unweighted`, and whether they fluctuate by either (Figure S.6).

    Returns
    -------
    DataFrame
        Of `paper.run`, with `setting` (case and τ), `rise`, `rise_unweighted`, `fluctuates` and
        `fluctuates_unweighted`.

    Notes
    -----
    The paper says "fluctuations exceeding 0.3" and no more. Read here as a rise above the lowest value so far, after
    30 iterations, in absolute terms.
    """
    rows = paper.run(setup, {block: [config(setup, name, block, share) for name in methods]}, **options)
    rise_, plain = rise(objective(rows)), rise(unweighted(rows))
    return rows.assign(
        setting=described(block[0], share),
        rise=rise_.tolist(),
        rise_unweighted=plain.tolist(),
        fluctuates=(rise_ > LARGEST).tolist(),
        fluctuates_unweighted=(plain > LARGEST).tolist(),
    )


def described(case: str, share: float) -> str:
    """Case and ball in words."""
    return f"{case or 'untargeted'}, {'τ' if share == 1 else f'{share:.2g} τ'}"


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of fluctuating runs in percent by setting, data set and method, with ASR in percent and median rises."""
    groups = rows.groupby(["setting", "dataset", "method"], sort=False)
    lines = 100 * groups[["fluctuates", "fluctuates_unweighted", "asr"]].mean()
    lines[["rise", "rise_unweighted"]] = groups[["rise", "rise_unweighted"]].median()
    return lines.assign(images=groups.size()).reset_index()


def bars(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of `shares`, one a measure: setting, dataset, method, measure, share."""
    wide = lines.rename(columns=MEASURES)
    return wide.melt(["setting", "dataset", "method"], list(MEASURES.values()), "measure", "share")


def beside_printed(lines: pd.DataFrame, caption: str = "") -> Table:
    """Lines of `shares` beside the printed ones: untargeted and targeted at the panel's τ, smaller balls ours only."""
    printed = reported("masw/fluctuations")
    cases = {described("", 1): "", **{described(case, 1): "targeted" for case in ("best", "random", "worst")}}
    printed = pd.concat(
        [
            printed[printed["case"] == case].assign(setting=name)
            for name, case in cases.items()
            if name in set(lines["setting"])
        ]
    )
    columns = {"fluctuates_unweighted": "weights 1", "fluctuates": "fluctuating"}
    return beside(
        lines.rename(columns=columns), printed.rename(columns=columns), on=("setting", "dataset", "method"),
        columns=("fluctuating",), extra=("weights 1", "asr", "rise", "rise_unweighted", "images"), caption=caption,
        not_run="not run here",
    )  # fmt: skip
