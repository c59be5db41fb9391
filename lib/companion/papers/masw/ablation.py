"""MASW's ablations, Figures 8, 9 and S.4: the measures, self-paced weighting (SPW), and rules for its threshold.

Every part of a figure is a few variants of an attack in a few blocks, within one or two balls: the tables', in which
untargeted attacks nearly always succeed, and a tight one, in which most goals cannot be reached completely. Weighted
steps can be as long as a small ball: where that decides, a quarter of the step is tried too.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from companion.papers.masw import experiments as paper
from companion.papers.masw.experiments import Block, Setup
from flipbook import evaluation

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
