"""The claims of the CMLU paper, each as one function that adds its verdict to the claims of an artefact: rates.

Methods are compared target set by target set, on the same sets and images. A verdict needs `SETS` sets with `IMAGES`
images in all and a mean difference beyond `MARGIN` points and two standard errors, so that neither another rounding nor
one lucky set turns it round. (At the edge of a margin a rounding still decides whether there is a verdict.)

Every method is trained once. Another seed moves the FR of NAG, whose generator is still learning when its budget ends,
by 14 points (standard deviation, benchmarks/seeds.py), that of the others by one to four, which the error over sets
covers. So what is said of NAG needs `NAG_FR` points, or `NAG_NTR` of NT_R: three standard deviations.
"""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from companion.papers.cmlu.experiments import METHODS
from companion.papers.cmlu.tables import shown
from companion.report import claims as verdicts
from companion.report.claims import Claims
from companion.report.numbers import written

MARGIN = 2.0  # percentage points
NAG_FR, NAG_NTR = 42.0, 3.6  # the same where NAG has a part
SETS, IMAGES = 4, 60
FEW = "too few target sets or images"
CLOSE = "too close for a verdict"
UNEVEN = "too close, or too uneven over the sets, for a verdict"
RETRAINED = "another training of NAG could turn it round"
IDLE = "no size can be judged at which the Oracle still hides much"
ABOVE = "CMLU-β is above the Oracle, which then is no bound to be near to"


def enough(rows: pd.DataFrame) -> bool:
    """Whether target sets (rows of one method and size) can carry a verdict."""
    return len(rows) >= SETS and rows["images"].sum() >= IMAGES


def above(
    claims: Claims, text: str, place: str, figures: str, values: pd.Series, carries: bool, margin: float = 0.0
) -> None:
    """The mean over sets is above 0; no verdict within `margin` or two standard errors, or where sets carry none."""
    verdict = verdicts.is_above(values.mean(), 2 * values.sem(), margin) if carries else None
    claims.check(text, place, figures, verdict, FEW if not carries else _reason(margin) if verdict is None else "")


def not_below(claims: Claims, text: str, place: str, figures: str, values: pd.Series, carries: bool) -> None:
    """By `MARGIN` and two standard errors the mean over sets is not below 0."""
    verdict = verdicts.is_not_below(values.mean(), 2 * values.sem(), MARGIN) if carries else None
    claims.check(text, place, figures, verdict, FEW if not carries else UNEVEN if verdict is None else "")


def _margin(*methods: str, least: float = MARGIN) -> float:
    """Points of FR by which methods must differ for a verdict."""
    return NAG_FR if "NAG" in methods else least


def _reason(margin: float) -> str:
    return RETRAINED if margin == NAG_FR else UNEVEN


def _of(rows: pd.DataFrame, method: str, size: int) -> pd.DataFrame:
    return rows[(rows["method"] == method) & (rows["size"] == size)].set_index("omega")


def higher(
    claims: Claims,
    rows: pd.DataFrame,
    mine: str,
    theirs: str,
    size: int,
    place: str,
    verb: str = "has a higher FR than",
) -> None:
    """One method hides more than another, over the sets of one size."""
    text = f"|Ω| = {size}: {shown(mine)} {verb} {shown(theirs)}"
    a, b = _of(rows, mine, size), _of(rows, theirs, size)
    difference = (a["FR"] - b["FR"]).dropna()
    figures = f"{a['FR'].mean():.1f} against {b['FR'].mean():.1f} % over {len(difference)} sets"
    above(claims, text, place, figures, difference, enough(a), _margin(mine, theirs))


def near(claims: Claims, rows: pd.DataFrame, size: int, place: str, points: float = MARGIN) -> None:
    """CMLU_beta's FR is at most some points below the Oracle's; no verdict where it is more than that above."""
    text = f"|Ω| = {size}: CMLU-β is within {points:g} points of the Oracle's FR"
    mine, best = _of(rows, "CMLU_beta", size), _of(rows, "Oracle", size)
    short = (best["FR"] - mine["FR"]).dropna()
    figures = f"{mine['FR'].mean():.1f} against {best['FR'].mean():.1f} %"
    if enough(mine) and short.mean() < -points:
        claims.check(text, place, figures, None, ABOVE)
    else:
        above(claims, text, place, figures, points - short, enough(mine))


def not_lower(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, size: int, place: str) -> None:
    """One method hides at least as much as another: by `MARGIN` and two standard errors it is not below."""
    text = f"|Ω| = {size}: {shown(mine)} has at least the FR of {shown(theirs)}"
    a, b = _of(rows, mine, size), _of(rows, theirs, size)
    difference = (a["FR"] - b["FR"]).dropna()
    figures = f"{a['FR'].mean():.1f} against {b['FR'].mean():.1f} %"
    if enough(a) and max(a["FR"].mean(), b["FR"].mean()) < MARGIN:
        claims.check(text, place, figures, None, "neither hides anything")
    else:
        not_below(claims, text, place, figures, difference, enough(a))


def collapses(claims: Claims, rows: pd.DataFrame, method: str, place: str, most: float = 10.0) -> None:
    """At the largest size at which the Oracle still hides much a method hides next to nothing."""
    text = f"{shown(method)} collapses as Ω grows, where the Oracle does not"
    of = _largest(rows, method, 3 * most)
    if of is None:
        claims.check(text, place, "", None, IDLE)
        return
    mine, best = (_of(rows, name, of)["FR"] for name in (method, "Oracle"))
    figures = f"|Ω| = {of}: {mine.mean():.1f} %, the Oracle {best.mean():.1f} %"
    above(claims, text, place, figures, most - mine, carries=True)


def _largest(rows: pd.DataFrame, method: str, least: float = 30.0) -> int | None:
    """The largest size of two labels and more that can be judged and at which the Oracle still hides so much."""
    works = [of for of in _judged(rows, method) if of > 1 and _of(rows, "Oracle", of)["FR"].mean() >= least]
    return max(works, default=None)


def order(claims: Claims, rows: pd.DataFrame, methods: Sequence[str], size: int, place: str) -> None:
    """Each method hides more than the next one."""
    for mine, theirs in pairwise(methods):
        higher(claims, rows, mine, theirs, size, place)


def stays_above(claims: Claims, rows: pd.DataFrame, method: str, least: float, place: str) -> None:
    """A method's FR is above a bound at every size that can be judged."""
    text = f"{shown(method)}'s FR stays above {least:g} % at every |Ω|"
    parts = [_of(rows, method, of)["FR"] for of in _judged(rows, method)]
    figures = " → ".join(f"{part.mean():.1f}" for part in parts)
    if not parts:
        claims.check(text, place, figures, None, FEW)
    elif any(part.mean() + 2 * part.sem() < least for part in parts):
        claims.check(text, place, figures, False)
    elif all(part.mean() - 2 * part.sem() > least for part in parts):
        claims.check(text, place, figures, True)
    else:
        claims.check(text, place, figures, None, UNEVEN)


def alike(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, size: int, place: str, points: float = 10.0
) -> None:
    """The FR of two methods differs by at most some points."""
    text = f"|Ω| = {size}: {shown(mine)}'s FR is within {points:g} points of {shown(theirs)}'s"
    a, b = _of(rows, mine, size), _of(rows, theirs, size)
    figures = f"{a['FR'].mean():.1f} against {b['FR'].mean():.1f} %"
    difference = (a["FR"] - b["FR"]).dropna()
    _within(claims, text, place, figures, difference, enough(a), points, _margin(mine, theirs, least=0))


def drops_to(
    claims: Claims, rows: pd.DataFrame, method: str, level: float, size: int, place: str, points: float = 10.0
) -> None:
    """At some size a method's FR is about `level`."""
    text = f"|Ω| = {size}: {shown(method)}'s FR is within {points:g} points of {level:g} %"
    of = _of(rows, method, size)
    figures = f"{of['FR'].mean():.1f} %"
    _within(claims, text, place, figures, of["FR"] - level, enough(of), points, _margin(method, least=0))


def _within(
    claims: Claims, text: str, place: str, figures: str, values: pd.Series, carries: bool, points: float, margin: float
) -> None:
    """The mean over sets is within some points of 0; no verdict within `margin` or two errors of the edge."""
    room = points - abs(values.mean())
    if not carries:
        claims.check(text, place, figures, None, FEW)
    elif abs(room) < max(margin, 2 * values.sem()):
        claims.check(text, place, figures, None, _reason(margin))
    else:
        claims.check(text, place, figures, room > 0)


def falls(claims: Claims, rows: pd.DataFrame, method: str, place: str) -> None:
    """A method's FR falls over the sizes that can be judged."""
    text = f"{shown(method)}'s FR falls with |Ω|"
    _over_sizes(claims, text, rows, method, "FR", place, rises=False, unit=_margin(method))


def _over_sizes(
    claims: Claims, text: str, rows: pd.DataFrame, method: str, measure: str, place: str, **options
) -> None:
    """A measure of a method is monotone over the sizes that can be judged; options are of `monotone`."""
    curve = pd.Series({of: _of(rows, method, of)[measure].mean() for of in _judged(rows, method)}, dtype=float)
    if len(curve) < 2:
        claims.check(text, place, "", None, FEW)
    else:
        monotone(claims, text, curve, place, **options)


def worst(claims: Claims, rows: pd.DataFrame, methods: Sequence[str], place: str) -> None:
    """At the largest size at which the Oracle still hides much some methods all hide less than every other one."""
    text = f"{', '.join(map(shown, methods))} hide least of all methods where Ω is largest"
    of = _largest(rows, "Oracle")
    if of is None:
        claims.check(text, place, "", None, IDLE)
        return
    fr = {name: _of(rows, name, of)["FR"] for name in METHODS}
    best = max(methods, key=lambda name: fr[name].mean())
    least = min(set(METHODS) - set(methods), key=lambda name: fr[name].mean())
    figures = (
        f"|Ω| = {of}: at most {fr[best].mean():.1f} % ({shown(best)}), the others at least "
        f"{fr[least].mean():.1f} % ({shown(least)})"
    )
    above(claims, text, place, figures, (fr[least] - fr[best]).dropna(), carries=True, margin=_margin(least, best))


def gone_by(claims: Claims, rows: pd.DataFrame, method: str, size: int, place: str, most: float = 10.0) -> None:
    """A method hides next to nothing at some size."""
    text = f"{shown(method)}'s FR is below {most:g} % by |Ω| = {size}"
    of = _of(rows, method, size)
    figures = f"{of['FR'].mean():.1f} %" if len(of) else ""
    above(claims, text, place, figures, most - of["FR"], enough(of))


def _judged(rows: pd.DataFrame, method: str) -> list[int]:
    """Sizes whose target sets can carry a verdict."""
    return [int(of) for of in sorted(rows["size"].unique()) if enough(_of(rows, method, of))]


def same_drift(claims: Claims, rows: pd.DataFrame, size: int, place: str, most: float = 1.5) -> None:
    """CMLU_beta's NT_R is at most `most` times the Oracle's: the largest printed ratio, 1.5 in Table 1."""
    text = f"|Ω| = {size}: CMLU-β's NT_R is at most {most:g} times the Oracle's"
    mine, best = _of(rows, "CMLU_beta", size), _of(rows, "Oracle", size)
    both = pd.DataFrame({"mine": mine["NT_R"], "best": best["NT_R"]}).dropna()
    if len(both) < SETS or not enough(mine):
        claims.check(text, place, f"{len(both)} sets that both hide on some image", None, FEW)
        return
    ratio = both["mine"].mean() / both["best"].mean()
    figures = f"{both['mine'].mean():.2f} against {both['best'].mean():.2f} %, {ratio:.2f} times"
    if abs(ratio / most - 1) < 0.05:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, ratio < most)


def drift_rises(claims: Claims, rows: pd.DataFrame, method: str, place: str, unit: float = 0.2) -> None:
    """A method's NT_R rises over the sizes that can be judged."""
    text = f"{shown(method)}'s NT_R rises with |Ω|"
    unit = NAG_NTR if method == "NAG" else unit
    _over_sizes(claims, text, rows, method, "NT_R", place, rises=True, unit=unit, decimals=2)


def highest_drift(claims: Claims, rows: pd.DataFrame, method: str, size: int, place: str) -> None:
    """A method changes more other labels than every other one, where they hide anything."""
    text = f"|Ω| = {size}: {shown(method)}'s NT_R is the highest"
    means = rows[rows["size"] == size].groupby("method")["NT_R"].mean().dropna()
    if method not in means or len(means) < 2 or not enough(_of(rows, method, size)):
        claims.check(text, place, "", None, FEW)
        return
    others = means.drop(method)
    figures = f"{means[method]:.2f} %; {shown(others.idxmax())} {others.max():.2f} %"
    apart = abs(means[method] - others.max())
    if "NAG" in (method, others.idxmax()) and apart < NAG_NTR:
        claims.check(text, place, figures, None, RETRAINED)
    elif apart < 0.05 * others.max():
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, means[method] > others.max())


def cheaper(claims: Claims, rows: pd.DataFrame, sets: int, place: str) -> None:
    """CMLU_beta's training takes the passes of the Oracle's single labels, and fewer than its attacked sets.

    Passes are counted, but follow from the numbers of vectors and images. `sets`, all that there are, is only said.
    """
    costs = {method: part.groupby("size")["passes"].first() for method, part in rows.groupby("method")}
    beta, single, attacked = costs["CMLU_beta"].iloc[0], costs["Oracle"].loc[1], costs["Oracle"].sum()
    every = single / len(_of(rows, "Oracle", 1)) * sets
    numbers = [written(number, "passes") for number in (beta, single, attacked, every)]
    count = len(rows[rows["method"] == "Oracle"])
    figures = (
        "{} passes; Oracle {} for single labels, {} for the ".format(*numbers[:3])
        + f"{count} sets attacked; computed, not run: {numbers[3]} for all {sets} sets"
    )
    text = "by count, CMLU-β's training costs what the Oracle's for single labels does, less than for the sets attacked"
    claims.check(text, place, figures, beta <= 1.01 * single and beta < attacked)


def linear(claims: Claims, growth: pd.DataFrame, place: str) -> None:
    """The passes of an epoch are in proportion to the labels for CMLU_beta, and outgrow that for the Oracle."""
    curves = {method: part.set_index("labels")["passes"] for method, part in growth.groupby("method")}
    beta, oracle = curves["CMLU_beta"], curves["Oracle"]
    last, times = beta.index[-1], [curve.iloc[-1] / curve.loc[1] for curve in (beta, oracle)]
    figures = f"{last} labels: {times[0]:g} times the passes of one label; Oracle {times[1]:g} times"
    proportional = (beta == beta.loc[1] * beta.index).all()
    text = "by count, an epoch's passes grow linearly with the labels for CMLU-β, faster for the Oracle of all sets"
    claims.check(text, place, figures, bool(proportional and times[1] > 2 * times[0]))


def monotone(
    claims: Claims, text: str, curve: pd.Series, place: str, rises: bool, unit: float = MARGIN, decimals: int = 1
) -> None:
    """A mean over sets rises (or falls) from its first to its last value and hardly goes back between.

    It must gain `unit` and go back by less; one that loses `unit`, or goes back by twice as much, does not. Another
    rounding moved these means by up to three points of FR and 0.6 of NT_R, so between the two is no verdict.
    """
    steps = curve.sort_index()
    change = steps.diff().dropna() * (1 if rises else -1)
    figures = " → ".join(f"{value:.{decimals}f}" for value in steps)
    if steps.isna().any():
        claims.check(text, place, figures, None, "nothing is hidden at one of the values")
    elif change.sum() > unit and change.min() > -unit:
        claims.check(text, place, figures, True)
    elif change.sum() < -unit or change.min() < -2 * unit:
        claims.check(text, place, figures, False)
    else:
        claims.check(text, place, figures, None, CLOSE)


def falls_faster(claims: Claims, curves: dict[str, pd.Series], mine: str, theirs: str, text: str, place: str) -> None:
    """From its first to its last value one method's mean loses more than another's."""
    lost = {method: curve.iloc[0] - curve.iloc[-1] for method, curve in curves.items()}
    figures = f"{shown(mine)} loses {lost[mine]:.1f} points, {shown(theirs)} {lost[theirs]:.1f}"
    if abs(lost[mine] - lost[theirs]) < MARGIN:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, lost[mine] > lost[theirs])
