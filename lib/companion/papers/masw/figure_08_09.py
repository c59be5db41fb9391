"""Figures 8, 9 and S.1 to S.4 of the MASW paper: what its parts and their variants do."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import bootstrap
from torch import Tensor, cat, nan

from companion.papers.masw import claims as claim
from companion.papers.masw import experiments as paper
from companion.papers.masw.experiments import Block, Setup
from companion.report import Claims
from companion.report.figures import WIDTH
from flipbook import evaluation
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.engines.self_paced import Pace, SelfPaced
from flipbook.attacks.tkml import targeted_hinges
from flipbook.goals import TopKEquals

IMAGES = 16
CASES = {"": "UT", "best": "TB", "random": "TR", "worst": "TW"}  # as Figure 8 names them
TABLES, TIGHT = "the tables' τ", "tight τ"
SHORT = ", step / 4"  # after a ball's name
_TIGHT = {True: 0.6, False: 0.4}  # targeted or not; as many successes as failures with k = 3
MEASURES = {"asr": "ASR (%)", "sasr": "SASR (%)", "lfr": "LFR (%)"}


@dataclass(frozen=True)
class Variant:
    """An attack under the name that the figure gives it, with what differs from the tables' settings."""

    shown: str
    method: str
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Variants that are compared in the same blocks and balls."""

    name: str
    blocks: tuple[Block, ...]
    variants: tuple[Variant, ...]
    balls: tuple[str, ...] = (TABLES, TIGHT)


_SPW, _TRACE, _STEP = {"weights": "spw"}, {"trace": ("hinges",)}, {"trace": ("step",)}
_EXACT = {"hide": False, "lam1": 1.0}  # MASW's loop on the ranking alone
_TOP_10 = tuple((case, 10) for case in CASES)
_SLACK = {"trace": ("threshold", "hinges", "violated")}
_RULES = {"FE": "fixed", "SPL": "spl", "SPW": "spw"}
PARTS = {
    "figure-08": (
        Part(
            "a: measures",
            (("", 3),),
            (Variant("ML-C&W", "ML-C&W"), Variant("TkML", "TkML"), Variant("MASW, w = 1", "MASW", {"weights": "none"})),
        ),
        Part(
            "b: ML-C&W",
            _TOP_10,
            (Variant("ML-C&W", "ML-C&W", _TRACE), Variant("ML-C&W + SPW", "ML-C&W", _SPW | _TRACE)),
            (TABLES,),  # in the tight one it hardly ever succeeds, with or without
        ),
        Part(
            "c: TkML",
            _TOP_10[1:],
            (Variant("TkML", "TkML", _TRACE), Variant("TkML + SPW", "TkML", _SPW | _TRACE)),
        ),
        Part(
            "ours: exact",
            _TOP_10[1:],
            (
                Variant("exact ranking", "MASW", {"weights": "none"} | _EXACT | _TRACE),
                Variant("exact ranking + SPW", "MASW", _EXACT | _TRACE),
            ),
            (TABLES, TABLES + SHORT),
        ),
    ),
    "figure-09": (
        Part(
            "as published",
            (("", 3),),
            tuple(Variant(name, "MASW", {"weights": of} | _SLACK) for name, of in _RULES.items()),
        ),
        Part(
            "ε from 1 on",
            (("", 3),),
            tuple(Variant(name, "MASW", {"weights": of, "eps0": 1.0} | _SLACK) for name, of in _RULES.items()),
            (TIGHT,),
        ),
    ),
    "figure-s04": (
        Part(
            "MASW",
            _TOP_10,
            (Variant("without SPW", "MASW", {"weights": "none"} | _STEP), Variant("with SPW", "MASW", _STEP)),
            (TABLES, TIGHT, TIGHT + SHORT),
        ),
    ),
}


def radius(setting: paper.Setting, case: str, ball: str) -> float:
    """τ of a ball, in [0, 1] units."""
    if ball.removesuffix(SHORT) == TIGHT:
        return _TIGHT[bool(case)]
    return setting.targeted if case else setting.untargeted


def run(setup: Setup, parts: tuple[Part, ...], **options) -> pd.DataFrame:
    """Rows of `paper.run` for every part, after the columns part and ball; the method is the variant's name."""
    tables = []
    for part in parts:
        for ball in part.balls:
            radii = {case: radius(setup.setting, case, ball) for case in CASES}
            configs = {block: [_config(setup, block, ball, of) for of in part.variants] for block in part.blocks}
            rows = paper.run(setup, configs, **options)
            rows.insert(0, "part", part.name)
            rows.insert(1, "ball", ball)
            rows["radius"] = rows["case"].map(radii)
            tables.append(rows)
    return pd.concat(tables, ignore_index=True)


def _config(setup: Setup, block: Block, ball: str, of: Variant) -> evaluation.AttackConfig:
    changed = {"radius": radius(setup.setting, block[0], ball)}
    if ball.endswith(SHORT):
        changed["learning_rate"] = setup.setting.learning_rate / 4
    return paper.config(setup, of.method, block, shown=of.shown, **changed | of.options)


def interval(values) -> tuple[float, float]:
    """95 % interval of a mean over images by the percentiles of 999 resamples, the same for the same values."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return float("nan"), float("nan")
    found = bootstrap((values,), np.mean, n_resamples=999, method="percentile", rng=np.random.default_rng(0))
    return found.confidence_interval.low, found.confidence_interval.high


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for every variant, block and ball: the measures with their intervals, over all images.

    Returns
    -------
    DataFrame
        part, ball, case (as Figure 8 names it), k, method; asr, sasr and lfr in percent, each before its interval as a
        text; pert over successes; what was traced, see `paths`.
    """
    by = ["part", "ball", "case", "k", "method"]
    lines = paper.summarise(rows, by)
    groups = [rows[(rows[by] == line[by]).all(axis=1)] for _, line in lines.iterrows()]
    out = lines[by].assign(case=lines["case"].map(CASES))
    for name in MEASURES:
        bounds = [interval(100 * of[name].astype(float)) for of in groups]
        out[name] = lines[name]
        out[f"{name}_95"] = [f"{low:.0f} to {high:.0f}" for low, high in bounds]
    out["pert"] = lines["pert"]
    traced = [pd.Series(paths(of, _trace(of))) for of in groups]
    return pd.concat([out, pd.DataFrame(traced, index=out.index)], axis=1)


def _trace(rows: pd.DataFrame) -> tuple[str, ...]:
    """What was traced of the one part that these rows are of."""
    parts = {part.name: part for of_figure in PARTS.values() for part in of_figure}
    return parts[rows["part"].iloc[0]].variants[0].options.get("trace", ())


def paths(rows: pd.DataFrame, names: tuple[str, ...]) -> dict[str, float]:
    """What the traces of these names tell about the attack's way, medians over images unless said otherwise.

    Returns
    -------
    dict
        With "hinges", their sum without any weights: median_rise, over all steps that raised it (logits; 0 without
        any), and left, the share of its first value that remains. With "threshold", ε: its last value. With both and
        "violated": slack, Σ hinges over their number, at the start. With "step": its length over all steps, as a share
        of τ.
    """
    traces = {name: [path[~path.isnan()].numpy() for path in evaluation.traces(rows, name)] for name in names}
    found = {}
    if "hinges" in traces:
        steps = np.concatenate([np.diff(path) for path in traces["hinges"]])
        found["median_rise"] = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
        found["left"] = float(np.median([path[-1] / path[0] if path[0] > 0 else 0.0 for path in traces["hinges"]]))
    if "threshold" in traces:
        found["threshold"] = float(np.median([path[-1] for path in traces["threshold"]]))
        pairs = zip(traces["hinges"], traces["violated"], strict=True)
        found["slack"] = float(np.median([sums[0] / max(1.0, number[0]) for sums, number in pairs]))
    if "step" in traces:
        shares = [path / τ for path, τ in zip(traces["step"], rows["radius"], strict=True)]
        found["step"] = float(np.median(np.concatenate(shares)))
    return found


def caption(setup: Setup) -> str:
    """Victim, images and radii of the two balls."""
    setting = setup.setting
    radii = [f"{ball} {radius(setting, '', ball):.3g} / {radius(setting, 'best', ball):g}" for ball in (TABLES, TIGHT)]
    return f"{paper.describe(setting)}, {len(setup.indices)} images; untargeted / targeted: {', '.join(radii)}"


HEADINGS = {
    "sasr": "SASR",
    "lfr": "LFR",
    "pert": "Pert",
    "median_rise": "median rise of Σ hinges",
    "left": "Σ hinges left",
    "threshold": "last ε",
    "slack": "first slack",
    "step": "step / τ",
    **{f"{name}_95": "95 %" + " " * place for place, name in enumerate(MEASURES)},  # columns need names of their own
}
DRAWN = dict.fromkeys(PARTS, MEASURES) | {
    "figure-09": {"asr": "ASR (%)", "lfr": "LFR (%)", "pert": "Pert (10⁻²)"},
    "figure-s04": MEASURES | {"pert": "Pert (10⁻²)"},
}
X = dict.fromkeys(PARTS, "case") | {"figure-09": "ball"}
LEGEND = {"case": "UT: untargeted; TB, TR and TW: best, random and worst targets", "ball": ""}


def drawn(rows: pd.DataFrame, artefact: str) -> dict[str, pd.DataFrame]:
    """Rows as the figure draws them: rates in percent, cases and balls by their short names, Pert of successes only."""
    rows = rows.assign(**{name: 100 * rows[name].astype(float) for name in MEASURES})
    rows["pert"] = rows["pert"].where(rows["success"])
    rows["case"] = rows["case"].map(CASES)
    if X[artefact] == "ball":
        return dict(list(rows.groupby("part", sort=False)))
    return {
        f"{part}\n{ball}" if len(rows["part"].unique()) > 1 else ball: of
        for (part, ball), of in rows.groupby(["part", "ball"], sort=False)
    }


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


@dataclass
class _Watched(SelfPaced):
    """TkML's objective, which notes the pull on z[k] of every iteration."""

    pulls: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, goal: TopKEquals, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.pulls.append(pull(goal, logits.detach(), self.pace, self.state.weights))
        return super().__call__(goal, logits)

    def __getitem__(self, index: Tensor) -> "_Watched":
        return replace(self, λ=self.λ[index], state=self.state[index])


def pull(goal: TopKEquals, logits: Tensor, pace: Pace, weights: Tensor) -> tuple[Tensor, Tensor]:
    """How a step moves z[k] by itself.

    Parameters
    ----------
    goal : TopKEquals
    logits : Tensor (n, C)
    pace : Pace
        Scales the weights.
    weights : Tensor (n, C) or (n, 1)
        Of the hinges.

    Returns
    -------
    Tensor (n,)
        The sum of the pulls as a share of all weights, positive where z[k] goes down; NaN without violated constraints.
    Tensor (n,) of bool
        Whether that is the wrong way for the label that has it.
    """
    violated = targeted_hinges(goal, logits) > 0
    w = pace.scaled(weights, violated) * violated
    total = w.sum(dim=1)
    net = (w * (2 * goal.target.to(w) - 1)).sum(dim=1) / total.where(total > 0, nan)
    is_target = goal.target.gather(1, logits.topk(goal.k, dim=1).indices[:, -1:])[:, 0]
    return net, (is_target & (net > 0)) | (~is_target & (net < 0))


def pulls(setup: Setup, block: Block, τ: float, max_iterations: int = 30) -> pd.DataFrame:
    """Run TkML's loss without and with self-paced weights on all images of a setup, and look at z[k].

    Returns
    -------
    DataFrame
        A line each: method, wrong (percent of the steps that push z[k]'s label the wrong way) and net (percent: mean
        size of the pull, of all weights), over steps with violated constraints.
    """
    lines = []
    for name, weights in (("TkML", "none"), ("TkML + SPW", "spw")):
        pace, images = Pace(weights), setup.images
        watched = _Watched(targeted_hinges, pace, images.new_ones(len(images), 1), pace.start(images))
        step = Plain(setup.setting.learning_rate)
        descend(
            setup.model, images, setup.goal(block), lambda _, of=watched: of, lambda _, by=step: by,
            radius=τ, max_iterations=max_iterations,
        )  # fmt: skip
        net, wrong = (cat([of[i] for of in watched.pulls]).double() for i in (0, 1))
        of_violated = ~net.isnan()
        share = 100 * wrong[of_violated].mean(), 100 * net[of_violated].abs().mean()
        lines.append({"method": name, "wrong": float(share[0]), "net": float(share[1])})
    return pd.DataFrame(lines)


def bars(
    lines: dict[str, pd.DataFrame],
    measures: dict[str, str],
    interval: Callable,
    x: str = "case",
    hue: str = "method",
    height: float = 2.3,
    xlabel: str = "",
) -> Figure:
    """Draw a line of plots for every set of rows, a plot a measure.

    Parameters
    ----------
    lines : dict of str to DataFrame
        Rows, one an image and bar, by what is written beside the line. Each line has its own legend.
    measures : dict of str to str
        Columns to draw, with the labels of their axes. A bar is the mean over its rows.
    interval : callable
        Values of a bar to the two ends of its interval.
    x, hue : str
        Columns that bars are placed and coloured by, in order of appearance.
    height : float
        Of a line, in inches.
    xlabel : str
        Below all plots.
    """
    size = (WIDTH * 1.2, height * len(lines) + 0.2)
    figure, axes = plt.subplots(len(lines), len(measures), figsize=size, squeeze=False, layout="constrained")
    for axis, label in zip(axes[0], measures.values(), strict=True):
        axis.set_title(label, fontsize=10)
    for (title, rows), row in zip(lines.items(), axes, strict=True):
        for axis, (name, label) in zip(row, measures.items(), strict=True):
            sns.barplot(
                rows, x=x, y=name, hue=hue, errorbar=interval, ax=axis, err_kws={"linewidth": 1, "color": "0.25"},
                legend=axis is row[-1], width=0.8,
            )  # fmt: skip
            axis.set(xlabel="", ylabel="", ylim=(0, None if rows[name].max() > 100 else _top(label)))
        row[0].set_ylabel(title, fontsize=10)
        row[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=9)
    figure.supxlabel(xlabel, fontsize=10)
    return figure


def _top(label: str) -> float | None:
    """Rates end at 100 on every axis, so that plots compare; sizes end where they do."""
    return 104 if "%" in label else None
