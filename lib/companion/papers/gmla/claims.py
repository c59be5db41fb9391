"""The claims of the GMLA supplement, each as one function that adds its verdict to the claims of an artefact.

A comparison is made in cells (a victim, a number of labels, a method). What is judged in a cell is a mean over target
sets; its error is two standard errors, and it takes `FEWEST` target sets. Two attacks are compared target set by target
set. A claim about all cells fails with one cell against it, and has no verdict where a cell is too close.

Functions that make numbers return lines: one a cell, with value, error and sets. Functions that judge take them.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from companion.report.claims import Claims, is_above, is_between, is_not_below

MARGIN = 1.0  # percentage points of a rate
SLACK = 2.0  # percentage points that a rate may be short of what is claimed
APART = 3.0  # percentage points between rates of different images
FEWEST = 6  # target sets
NAMES = {"fr_n": "FR_N", "fr_s": "FR_S", "ntr_all": "NT_R"}
CLOSE = "too close in some of the comparisons"
FEW = f"fewer than {FEWEST} target sets"
SATURATED = "saturated, at 0 or at 100 %"


def over_sets(each: pd.Series, cell: list[str]) -> pd.DataFrame:
    """Lines of a number that every target set of every cell has (the levels of the index)."""
    groups = each.groupby(cell)
    return pd.DataFrame({"value": groups.mean(), "error": 2 * groups.sem().fillna(0.0), "sets": groups.size()})


def means(rows: pd.DataFrame, measure: str, cell: list[str], unit: float = 100.0) -> pd.DataFrame:
    """Lines of a measure, in percent unless another unit is given; target sets without one do not count."""
    each = unit * rows.groupby([*cell, "target_set"])[measure].mean()
    return over_sets(each.dropna(), cell)


def shared(rows: pd.DataFrame, mine: str, theirs: str, measure: str, cell: list[str]) -> pd.DataFrame:
    """A measure of two methods (columns) by cell and target set, on the images that both were run on."""
    both = rows[rows["method"].isin([mine, theirs])]
    twice = both.groupby([*cell, "target_set", "image"])["method"].transform("nunique") == 2
    return both[twice].groupby([*cell, "target_set", "method"])[measure].mean().unstack("method")


def differences(rows: pd.DataFrame, mine: str, theirs: str, measure: str, cell: list[str]) -> pd.DataFrame:
    """Lines of how much more one method has of a measure than another, in percentage points."""
    wide = 100 * shared(rows, mine, theirs, measure, cell)
    return over_sets(wide[mine] - wide[theirs], cell)


def each_ratio(part: pd.Series, whole: pd.Series, cell: list[str]) -> pd.Series:
    """Numbers, one a target set, whose mean in a cell is the ratio of both sums, with its error to first order."""
    of = []
    for _, a in part.groupby(cell):
        b = whole.loc[a.index]
        value = a.sum() / b.sum() if b.sum() else np.nan
        of.append(value + (a - value * b) / b.mean())
    return pd.concat(of) if of else part.astype(float)


def flip_ratios(rows: pd.DataFrame, mine: str, theirs: str, cell: list[str]) -> pd.DataFrame:
    """Lines of one method's NT_R in units of another's."""
    wide = shared(rows, mine, theirs, "ntr_all", cell)
    return over_sets(each_ratio(wide[mine], wide[theirs], cell), cell)


def step_shares(rows: pd.DataFrame, part: str, cell: list[str]) -> pd.DataFrame:
    """Lines of the percentage of all steps of all images (columns of `experiments.steps`) that are of a kind."""
    counts = rows.groupby([*cell, "target_set"])[[part, "steps"]].sum()
    return over_sets(100 * each_ratio(counts[part], counts["steps"], cell), cell)


def consistent(rows: pd.DataFrame, method: str, cell: list[str]) -> pd.Series:
    """FR_S / FR_N of a method in percent, as `each_ratio` has it."""
    rates = rows[rows["method"] == method].groupby([*cell, "target_set"])[["fr_s", "fr_n"]].mean()
    return 100 * each_ratio(rates["fr_s"], rates["fr_n"], cell)


def last_to_first(lines: pd.DataFrame) -> pd.DataFrame:
    """The last of some lines in units of the first, of other target sets, as the only line."""
    first, last = lines.iloc[0], lines.iloc[-1]
    value = last["value"] / first["value"]
    error = abs(value) * ((last["error"] / last["value"]) ** 2 + (first["error"] / first["value"]) ** 2) ** 0.5
    name = f"{_named(lines.index[-1])} to {_named(lines.index[0])}"
    return pd.DataFrame({"value": value, "error": error, "sets": lines["sets"].min()}, index=[name])


def _conclude(
    claims: Claims, text: str, place: str, lines: pd.DataFrame, verdicts: list, reason: str = CLOSE, sign: str = "+"
) -> None:
    figures = "; ".join(
        f"{_named(line.Index)} {line.value:{sign}.3g}" + (f" ± {line.error:.2g}" if "error" in lines else "")
        for line in lines.itertuples()
    )
    if lines.empty or lines["sets"].min() < FEWEST:
        claims.check(text, place, figures, None, FEW)
    elif False in verdicts:
        claims.check(text, place, figures, False)
    elif None in verdicts:
        claims.check(text, place, figures, None, reason)
    else:
        claims.check(text, place, figures, True)


def within(
    claims: Claims, text: str, place: str, lines: pd.DataFrame, low: float = -np.inf, high: float = np.inf
) -> None:
    """The number of every cell lies in a range, by more than its error."""
    _conclude(
        claims,
        text,
        place,
        lines,
        [is_between(line.value, line.error, low, high) for line in lines.itertuples()],
        sign="",
    )


def times(
    claims: Claims,
    rows: pd.DataFrame,
    mine: str,
    theirs: str,
    low: float,
    high: float,
    place: str,
    cell: list[str],
) -> None:
    """One method has between `low` and `high` times as much NT_R as another, in every cell.

    What is judged is the difference from each bound, target set by target set: a ratio to a number near 0 has no error
    that could be trusted.
    """
    text = f"{mine} flips {low:g} to {high:g} times as many other labels as {theirs}"
    wide = shared(rows, mine, theirs, "ntr_all", cell)
    ends = [over_sets(wide[mine] - bound * wide[theirs], cell) for bound in (low, high)]
    over_low, over_high = ([is_above(line.value, line.error) for line in end.itertuples()] for end in ends)
    verdicts = [
        False if enough is False or beyond else True if enough and beyond is False else None
        for enough, beyond in zip(over_low, over_high, strict=True)
    ]
    lines = flip_ratios(rows, mine, theirs, cell).drop(columns="error")
    _conclude(claims, text + (" everywhere" if len(lines) > 1 else ""), place, lines, verdicts, sign="")


def more(
    claims: Claims,
    rows: pd.DataFrame,
    mine: str,
    theirs: str,
    measure: str,
    place: str,
    cell: list[str],
    margin: float = MARGIN,
) -> None:
    """One method has more of a measure than another, in every cell."""
    lines = differences(rows, mine, theirs, measure, cell)
    text = f"{mine} has a higher {NAMES[measure]} than {theirs}" + (" everywhere" if len(lines) > 1 else "")
    _conclude(claims, text, place, lines, [is_above(line.value, line.error, margin) for line in lines.itertuples()])


def not_less(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, cell: list[str]
) -> None:
    """One method has at least as much of a measure as another in every cell, by `SLACK` and two standard errors.

    Without a verdict where both are at 0 or at 100: there neither can be below.
    """
    lines = differences(rows, mine, theirs, measure, cell)
    wide = 100 * shared(rows, mine, theirs, measure, cell).groupby(cell)[[mine, theirs]].mean()
    stuck = [_saturated(both) for both in wide.to_numpy()]
    verdicts = [
        None if at else is_not_below(line.value, line.error, SLACK)
        for at, line in zip(stuck, lines.itertuples(), strict=True)
    ]
    close = any(verdict is None and not at for verdict, at in zip(verdicts, stuck, strict=True))
    text = f"{mine}'s {NAMES[measure]} is not below {theirs}'s" + (" anywhere" if len(lines) > 1 else "")
    _conclude(claims, text, place, lines, verdicts, CLOSE if close else SATURATED)


def not_more(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, cell: list[str], margin: float
) -> None:
    """One method has less of a measure than another, or as much up to a margin, in every cell.

    Close ones are equal only where the error is as small as the margin; else they are unknown.
    """
    lines = differences(rows, mine, theirs, measure, cell)
    above = [(is_above(line.value, line.error, margin), line.error) for line in lines.itertuples()]
    verdicts = [None if more is None and error > margin else not more for more, error in above]
    text = f"{mine}'s {NAMES[measure]} is not above {theirs}'s" + (" anywhere" if len(lines) > 1 else "")
    _conclude(claims, text, place, lines, verdicts)


def consistent_between(
    claims: Claims, rows: pd.DataFrame, method: str, low: float, high: float, place: str, cell: list[str]
) -> None:
    """Of a method's successes, between `low` and `high` percent are consistent in every cell; 100 is no upper bound.

    It holds where every cell lies in the range and all cells together do by more than two standard errors over target
    sets; a cell that is outside by more than its own error is against it.
    """
    lines = over_sets(consistent(rows, method, cell), cell)
    (total,) = over_sets(consistent(_together(rows, cell), method, ["cell"]), ["cell"]).itertuples()
    top = high if high < 100 else np.inf
    outside = [is_between(line.value, line.error, low, top) is False for line in lines.itertuples()]
    inside = is_between(total.value, total.error, low, top) and lines["value"].between(low, top).all()
    wanted = f"between {low:g} and {high:g} %" if high < 100 else f"at least {low:g} %"
    text = f"Of {method}'s successes {wanted} are consistent"
    _conclude(claims, text, place, lines, [not out if out or inside else None for out in outside], sign="")


def _together(rows: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
    """The rows as of one cell, each of whose target sets is one of one cell before."""
    return rows.assign(cell="all together", target_set=rows.groupby([*cell, "target_set"]).ngroup())


def less_consistent(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, place: str, cell: list[str]) -> None:
    """Of one method's successes a smaller part is consistent than of another's, in every cell."""
    lines = over_sets(consistent(rows, theirs, cell) - consistent(rows, mine, cell), cell)
    text = f"Of {mine}'s successes fewer are consistent than of {theirs}'s" + (" everywhere" if len(lines) > 1 else "")
    _conclude(claims, text, place, lines, [is_above(line.value, line.error, MARGIN) for line in lines.itertuples()])


def lower_on(claims: Claims, rows: pd.DataFrame, method: str, dataset: str, other: str, place: str) -> None:
    """A method fools less on one data set than on another, with every model, by `APART` and two standard errors."""
    lines = means(rows[rows["method"] == method], "fr_n", ["model", "dataset"]).unstack("dataset")
    here, there = (lines.xs(name, axis="columns", level="dataset") for name in (dataset, other))
    change = pd.DataFrame(
        {
            "value": here["value"] - there["value"],
            "error": np.hypot(here["error"], there["error"]),  # other images and other target sets
            "sets": np.minimum(here["sets"], there["sets"]),
        }
    )
    text = f"{method} has a lower FR_N on {dataset} than on {other}, with every model"
    above = [is_above(line.value, line.error, APART) for line in change.itertuples()]
    _conclude(claims, text, place, change, [None if more is None else not more for more in above])


def rarely(claims: Claims, rows: pd.DataFrame, method: str, most: float, place: str, cell: list[str]) -> None:
    """A method's FR_N is below so many percent in every cell.

    It fails where the worst cell is above by more than its error, or all cells together are: then one of them must be.
    """
    of = rows[rows["method"] == method]
    lines, total = means(of, "fr_n", cell), means(_together(of, cell), "fr_n", ["cell"])
    text = f"{method} succeeds on less than {most:g} % of the images" + (" everywhere" if len(lines) > 1 else "")
    verdicts = [is_between(line.value, line.error, -np.inf, most) for line in lines.itertuples()]
    if False in [is_between(line.value, line.error, -np.inf, most) for line in total.itertuples()]:
        verdicts.append(False)
    lines = lines.set_axis([_named(name) for name in lines.index]).sort_values("value", ascending=False)
    _conclude(claims, text, place, pd.concat([lines, total]), verdicts, sign="")


def trend(claims: Claims, text: str, place: str, curve: pd.DataFrame, least: float, rises: bool = True) -> None:
    """From one end of a curve (a line a target set) to the other the mean rises (or falls), and never goes back.

    From end to end it takes `least` and two standard errors; a step back counts beyond its own error.
    """
    sign = 1 if rises else -1
    total = _paired(sign * curve, curve.columns[0], curve.columns[-1])
    steps = [_paired(sign * curve, a, b) for a, b in pairwise(curve.columns)]
    back = any(change < -max(error, least / 100) for change, error in steps)
    verdict = is_above(*total, least)
    if len(curve) < FEWEST:
        claims.check(text, place, _arrows(curve), None, FEW)
    elif curve.mean().min() >= 100 - MARGIN:
        claims.check(text, place, _arrows(curve), None, SATURATED)
    elif verdict is None and not back:
        claims.check(text, place, _arrows(curve), None, "too close from end to end")
    else:
        claims.check(text, place, _arrows(curve), verdict is True and not back)


def flat(claims: Claims, text: str, place: str, curve: pd.DataFrame, start: float, most: float) -> None:
    """From `start` upwards the mean of a curve (a line a target set) in percent stays in a band of width `most`.

    Without a verdict where the whole curve lies at 0 or at 100: there it cannot change, wherever it starts.
    """
    part = curve.loc[:, curve.columns >= start]
    change, error = _paired(part, part.mean().idxmin(), part.mean().idxmax())
    if len(curve) < FEWEST:
        claims.check(text, place, _arrows(part), None, FEW)
    elif _saturated(curve.mean()):
        claims.check(text, place, _arrows(part), None, SATURATED)
    elif abs(change - most) < error:
        claims.check(text, place, _arrows(part), None, "too close for a verdict")
    else:
        claims.check(text, place, _arrows(part), change <= most)


def _paired(curve: pd.DataFrame, start, end) -> tuple[float, float]:
    """By how much the mean changes between two places of a curve, and two standard errors over target sets."""
    each = curve[end] - curve[start]
    return each.mean(), 2 * each.sem()


def _saturated(percent) -> bool:
    return bool(percent.max() <= MARGIN or percent.min() >= 100 - MARGIN)


def _arrows(curve: pd.DataFrame) -> str:
    change, error = _paired(curve, curve.columns[0], curve.columns[-1])
    return " → ".join(f"{value:.3g}" for value in curve.mean()) + f", in all {change:+.3g} ± {error:.2g}"


def _named(cell) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell)
