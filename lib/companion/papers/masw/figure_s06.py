"""Figure S.6 of the MASW paper: objectives that go up and down."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.report import Table, beside, reported
from companion.report.figures import WIDTH
from companion.report.run_paths import draw_paths, middle
from flipbook import evaluation
from flipbook.evaluation import AttackConfig

BURN_IN = 30  # iterations before which a run may go up and down
LARGEST = 0.3  # rise that counts as a fluctuation
METHODS = ("ML-C&W", "TkML", "MASW")
OTHERS = ("TkALC", "TkMIA")  # only counted; MADW makes too few steps on a laptop to be compared
MEASURES = {"fluctuates": "by its own objective", "fluctuates_unweighted": "by the hinges with all weights 1"}


def config(setup: paper.Setup, method: str, block: paper.Block, share: float = 1.0, **options) -> AttackConfig:
    """A method that runs on after success and keeps its objective; `share` of the setting's τ."""
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


def runs(
    setup: paper.Setup,
    block: paper.Block,
    methods: Sequence[str] = METHODS,
    share: float = 1.0,
    *,
    burn_in: int = BURN_IN,
    largest: float = LARGEST,
    **options,
) -> pd.DataFrame:
    """Rows of these methods with `rise` and `rise_unweighted`, and whether they fluctuate by either (Figure S.6).

    Parameters
    ----------
    setup, block, methods
    share : float
        Of the setting's τ.
    burn_in : int
        Iterations before which a run may go up and down.
    largest : float
        Rise that is no fluctuation yet.
    options
        Of `paper.run`.

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
    rise_, plain = rise(objective(rows), burn_in), rise(unweighted(rows), burn_in)
    return rows.assign(
        setting=described(block[0], share),
        rise=rise_.tolist(),
        rise_unweighted=plain.tolist(),
        fluctuates=(rise_ > largest).tolist(),
        fluctuates_unweighted=(plain > largest).tolist(),
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
    """Lines of `shares` beside the printed ones: untargeted and targeted at the tables' τ, smaller balls ours only."""
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


def objectives(
    paths: dict[str, dict[str, Tensor]], rises: dict[str, dict[str, list[float]]], shares: pd.DataFrame
) -> Figure:
    """Draw a row of paths a data set, a column a method, and below bars of the shares.

    Parameters
    ----------
    paths : dict of dict of Tensor (n, T + 1)
        By data set and method; what follows a comma in a method's name is no part of it.
    rises : dict of dict of list of float
        By data set and method, for each run; the one in the middle is drawn thick.
    shares : DataFrame
        setting, method, measure and share in percent, a line a bar and data set.
    """
    rows, columns = len(paths), max(map(len, paths.values()))
    figure = plt.figure(figsize=(WIDTH * 1.4, 1.9 * rows + 2.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.75 * rows, 2.5))
    axes = above.subplots(rows, columns, squeeze=False, sharex=True)
    colours = dict(zip(shares["method"].unique(), sns.color_palette(), strict=False))
    for row, (dataset, of) in enumerate(paths.items()):
        for column, (method, values) in enumerate(of.items()):
            axis = axes[row, column]
            draw_paths(axis, values, colours[method.partition(",")[0]], middle(rises[dataset][method]))
            axis.set(title="" if row else method, xlabel="iteration" if row == rows - 1 else "")
            axis.set(ylabel=f"{dataset}\nobjective" if column == 0 else "")
    _bars(below.subplots(1, shares["measure"].nunique(), sharey=True, squeeze=False)[0], shares, colours)
    return figure


def _bars(axes: list[Axes], shares: pd.DataFrame, colours: dict[str, tuple]) -> None:
    """One plot a measure: groups of bars by setting, a colour a method, data sets averaged with a dot each."""
    for axis, (measure, part) in zip(axes, shares.groupby("measure", sort=False), strict=True):
        options = {"x": "setting", "y": "share", "hue": "method", "ax": axis}
        sns.barplot(part, errorbar=None, palette=colours, alpha=0.75, legend=axis is axes[0], **options)
        sns.stripplot(part, dodge=True, palette="dark:black", size=3.5, jitter=False, legend=False, **options)
        axis.set(title=measure, xlabel="", ylabel="fluctuating runs, %", ylim=(0, 104))
    axes[0].legend(loc="upper left", fontsize=9)
