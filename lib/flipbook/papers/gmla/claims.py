"""The claims of the GMLA supplement, each as one function that adds its verdict to the claims of an artefact.

A comparison is made in cells (a victim, a number of labels, a threshold). In a cell two attacks are compared target set
by target set: the mean difference, in percentage points, counts if it exceeds `MARGIN` and two standard errors over
target sets. A claim about all cells fails with one cell against it, and has no verdict where a cell is too close.
"""

import pandas as pd

from flipbook.report.claims import Claims

MARGIN = 1.0  # percentage points of a rate
SLACK = 2.0  # percentage points that a rate may be short of what is claimed
APART = 3.0  # percentage points between rates of different images
FEWEST = 6  # target sets
NAMES = {"fr_n": "FR_N", "fr_s": "FR_S", "ntr_all": "NT_R"}
CLOSE = "too close in some of the comparisons"
FEW = f"fewer than {FEWEST} target sets"
SATURATED = "the curve is saturated throughout"


def by_set(rows: pd.DataFrame, measure: str, cell: list[str]) -> pd.DataFrame:
    """A measure in percent, by cell and target set (rows) and by method (columns)."""
    return 100 * rows.groupby([*cell, "target_set", "method"])[measure].mean().unstack("method")


def differences(rows: pd.DataFrame, mine: str, theirs: str, measure: str, cell: list[str]) -> pd.DataFrame:
    """How much more one method has of a measure than another: a line a cell, with difference, error, sets.

    Only target sets count that both were run on, on the images that both were run on. The error is twice the standard
    error of the mean.
    """
    both = rows[rows["method"].isin([mine, theirs])]
    shared = both.groupby([*cell, "target_set", "image"])["method"].transform("nunique") == 2
    wide = by_set(both[shared], measure, cell)
    each = (wide[mine] - wide[theirs]).groupby(cell)
    error = 2 * each.std(ddof=1) / each.size() ** 0.5
    return pd.DataFrame({"difference": each.mean(), "error": error.fillna(0.0), "sets": each.size()})


def _verdict(line, margin: float) -> bool | None:
    if abs(line.difference) <= max(margin, line.error):
        return None
    return line.difference > 0


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
    figures = "; ".join(
        f"{_named(line.Index)} {line.difference:+.1f} ± {line.error:.1f}" for line in lines.itertuples()
    )
    if lines["sets"].min() < FEWEST:
        claims.check(text, place, figures, None, FEW)
        return
    verdicts = [_verdict(line, margin) for line in lines.itertuples()]
    if False in verdicts:
        claims.check(text, place, figures, False)
    elif None in verdicts:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, True)


def not_less(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, cell: list[str]
) -> None:
    """One method has at least as much of a measure as another, up to `SLACK`, in every cell."""
    lines = differences(rows, mine, theirs, measure, cell)
    figures = "; ".join(f"{_named(line.Index)} {line.difference:+.1f}" for line in lines.itertuples())
    text = f"{mine}'s {NAMES[measure]} is not below {theirs}'s" + (" anywhere" if len(lines) > 1 else "")
    claims.check(text, place, figures, (lines["difference"] >= -SLACK).all())


def not_more(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, cell: list[str], margin: float
) -> None:
    """One method has less of a measure than another, or as much up to a margin, in every cell."""
    lines = differences(rows, mine, theirs, measure, cell)
    figures = "; ".join(
        f"{_named(line.Index)} {line.difference:+.1f} ± {line.error:.1f}" for line in lines.itertuples()
    )
    text = f"{mine}'s {NAMES[measure]} is not above {theirs}'s" + (" anywhere" if len(lines) > 1 else "")
    if lines["sets"].min() < FEWEST:
        claims.check(text, place, figures, None, FEW)
        return
    counts = [_verdict(line, margin) for line in lines.itertuples()]
    # Close ones are equal only where the error is as small as the margin; else they are unknown.
    unknown = [count is None and line.error > margin for count, line in zip(counts, lines.itertuples(), strict=True)]
    if True in counts:
        claims.check(text, place, figures, False)
    elif any(unknown):
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, True)


def consistent_between(
    claims: Claims, rows: pd.DataFrame, method: str, low: float, high: float, place: str, cell: list[str]
) -> None:
    """Of a method's successes, between `low` and `high` percent are consistent in every cell.

    It holds where every cell lies in the range and all cells together do by more than two standard errors over target
    sets; a cell that is outside by more than its own error is against it.
    """
    of = rows[rows["method"] == method]
    cells = {_named(name if len(cell) > 1 else name[0]): _share(part) for name, part in of.groupby(cell, sort=False)}
    text = f"Of {method}'s successes between {low:g} and {high:g} % are consistent"
    figures = "; ".join(f"{name} {value:.0f} ± {error:.0f} %" for name, (value, error) in cells.items())
    value, error = _share(of.assign(target_set=of.groupby([*cell, "target_set"]).ngroup()))
    if any(value + error < low or value - error > high for value, error in cells.values()):
        claims.check(text, place, figures, False)
    elif low + error < value < high - error and all(low <= value <= high for value, _ in cells.values()):
        claims.check(text, place, figures, True)
    else:
        claims.check(text, place, figures, None, CLOSE)


def _share(rows: pd.DataFrame) -> tuple[float, float]:
    """FR_S / FR_N in percent, and two standard errors of it over target sets."""
    rates = rows.groupby("target_set")[["fr_s", "fr_n"]].mean()
    value = rates["fr_s"].sum() / rates["fr_n"].sum()
    left = rates["fr_s"] - value * rates["fr_n"]  # of a ratio of means, to first order
    error = 2 * left.std(ddof=1) / len(rates) ** 0.5 / rates["fr_n"].mean()
    return 100 * value, 100 * (error if len(rates) > 1 else 0.0)


def within(claims: Claims, text: str, place: str, lines: pd.Series, low: float, high: float) -> None:
    """A number of every cell lies in a range."""
    figures = "; ".join(f"{_named(cell)} {value:.2f}" for cell, value in lines.items())
    claims.check(text, place, figures, ((lines >= low) & (lines <= high)).all())


def consistent_share(table: pd.DataFrame, method: str, cell: list[str]) -> pd.Series:
    """FR_S / FR_N of a method in every cell."""
    lines = table[table["method"] == method].set_index(cell)
    return lines["FR_S"] / lines["FR_N"]


def flip_ratio(table: pd.DataFrame, mine: str, theirs: str, cell: list[str]) -> pd.Series:
    """NT_R of one method in units of another's, in every cell."""
    of = {name: table[table["method"] == name].set_index(cell)["NT_R"] for name in (mine, theirs)}
    return of[mine] / of[theirs]


def lower_on(claims: Claims, table: pd.DataFrame, method: str, dataset: str, other: str, place: str) -> None:
    """A method fools less on one data set than on another, with every model."""
    lines = table[table["method"] == method].set_index(["model", "dataset"])["FR_N"].unstack()
    change = lines[dataset] - lines[other]
    text = f"{method} has a lower FR_N on {dataset} than on {other}, with every model"
    figures = "; ".join(f"{model} {value:+.1f}" for model, value in change.items())
    if (change > APART).any():
        claims.check(text, place, figures, False)
    elif (change < -APART).all():
        claims.check(text, place, figures, True)
    else:
        claims.check(text, place, figures, None, CLOSE)


def rarely(claims: Claims, rows: pd.DataFrame, method: str, most: float, place: str, cell: list[str]) -> None:
    """A method's FR_N, over target sets of all cells alike, is below so many percent."""
    rates = by_set(rows[rows["method"] == method], "fr_n", cell)[method]
    error = 2 * rates.std(ddof=1) / len(rates) ** 0.5
    text = f"{method} succeeds on less than {most:g} % of the images"
    figures = f"{rates.mean():.0f} ± {error:.0f} %"
    if abs(rates.mean() - most) <= error:
        claims.check(text, place, figures, None, "too close for a verdict")
    else:
        claims.check(text, place, figures, rates.mean() < most)


def trend(claims: Claims, text: str, place: str, curve: pd.Series, least: float, rises: bool = True) -> None:
    """From one end of a curve to the other it rises (or falls) by at least `least`; without a verdict in between."""
    change = (curve.iloc[-1] - curve.iloc[0]) * (1 if rises else -1)
    figures = " → ".join(f"{value:.3g}" for value in curve)
    if abs(change) < least:
        claims.check(text, place, figures, None, "it hardly changes")
    else:
        claims.check(text, place, figures, change > 0)


def flat(claims: Claims, text: str, place: str, curve: pd.Series, start: float, most: float) -> None:
    """From `start` upwards a curve in percent stays within a band of width `most`.

    Without a verdict where the whole curve lies at 0 or at 100: there it cannot change, wherever it starts.
    """
    part = curve[curve.index >= start]
    figures = " → ".join(f"{value:.3g}" for value in part)
    if curve.max() <= MARGIN or curve.min() >= 100 - MARGIN:
        claims.check(text, place, figures, None, SATURATED)
    else:
        claims.check(text, place, figures, part.max() - part.min() <= most)


def share(claims: Claims, text: str, place: str, value: float, least: float) -> None:
    """A share (0 to 1) is at least so much."""
    claims.check(text, place, f"{100 * value:.1f} %", value >= least)


def _named(cell) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, tuple) else str(cell)
