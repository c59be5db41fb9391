"""The claims of the MASW paper about one perturbation for all images, each as one function that adds its verdict.

Two methods are compared cell by cell (data set and k), in each of which both learnt one perturbation. What another seed
would have given differs from perturbation to perturbation, not from image to image, so that errors are two standard
errors over cells. A verdict needs a difference beyond `MARGIN` and beyond that error.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from companion.papers.masw.claims import CLOSE, NAMES, RATIO, gap
from companion.papers.masw.claims import FEW as FEW_IMAGES
from companion.papers.masw.claims import FEWEST as FEWEST_IMAGES
from companion.report.claims import Claims

MARGIN = 2.0  # percentage points
ORDER = 5.0  # percentage points that another order of the training images may change
FEWEST = 4  # cells
FEW = f"fewer than {FEWEST} cells of data set and k"
_CELL = ["dataset", "k"]


def ahead(
    claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str = ""
) -> None:
    """One method has clearly more of a measure (percent) than another.

    Parameters
    ----------
    claims : Claims
    lines : DataFrame
        From `universals.summarise`.
    mine, theirs, measure : str
    place, text : str
        Where the paper says so, and what, if it is not that one is higher.
    """
    gaps = differences(lines, mine, theirs, measure)
    text = text or f"{mine} has a higher {NAMES.get(measure, measure)} than {theirs}"
    claims.check(text, place, _points(gaps), *_judged(gaps))


def best(claims: Claims, lines: pd.DataFrame, mine: str, measure: str, place: str) -> None:
    """One method has clearly more of a measure than every other; shown is the rival of the smallest lead."""
    gaps = {name: differences(lines, mine, name, measure) for name in lines["method"].unique() if name != mine}
    _against_all(claims, f"{mine} has the highest {NAMES.get(measure, measure)} of all", place, gaps, 1)


def lowest(claims: Claims, lines: pd.DataFrame, mine: str, measure: str, place: str) -> None:
    """One method has clearly less of a measure than every other."""
    gaps = {name: differences(lines, name, mine, measure) for name in lines["method"].unique() if name != mine}
    text = f"{mine} has the lowest {NAMES.get(measure, measure)} of all"
    _against_all(claims, text, place, gaps, -1)


def _against_all(claims: Claims, text: str, place: str, gaps: dict[str, pd.Series], sign: int) -> None:
    """Differences to every rival that should be positive; shown, times the sign, is the smallest."""
    gaps = {name: of for name, of in gaps.items() if len(of)}
    name = min(gaps, key=lambda rival: gaps[rival].mean())
    verdicts = [_judged(of) for of in gaps.values()]
    lost = any(holds is False for holds, _ in verdicts)
    holds, reason = (False, "") if lost else next((v for v in verdicts if v[0] is None), (True, ""))
    claims.check(text, place, f"to {name} {_points(sign * gaps[name])}", holds, reason)


def not_larger(
    claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str
) -> None:
    """Of something that is no percentage (pert, passes) one method has at most as much as another.

    It does not hold where it has more by `RATIO` and the error on top.
    """
    of, error, cells = ratio(lines, mine, theirs, measure)
    verdict = True if of <= 1 else False if np.log(of) > np.log(1 + RATIO) + error else None
    reason = FEW if cells < FEWEST else CLOSE if verdict is None else ""
    claims.check(text, place, _times(of, error), None if reason else verdict, reason)


def larger(claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str) -> None:
    """Of something that is no percentage (pert, passes) one method has clearly more than another."""
    of, error, cells = ratio(lines, mine, theirs, measure)
    verdict = None if abs(np.log(of)) <= max(np.log(1 + RATIO), error) else bool(of > 1)
    reason = FEW if cells < FEWEST else CLOSE if verdict is None else ""
    claims.check(text, place, _times(of, error), None if reason else verdict, reason)


def with_k(
    claims: Claims, lines: pd.DataFrame, methods: Sequence[str], ks: tuple[int, int], measure: str, place: str,
    rises: bool, text: str,
) -> None:  # fmt: skip
    """From the first to the second k a measure clearly rises (or falls), over the methods' data sets."""
    own = lines[lines["method"].isin(methods)]
    wide = own.pivot(index=["dataset", "method"], columns="k", values=measure)
    gaps = wide[ks[1]] - wide[ks[0]]
    claims.check(text, place, _points(gaps), *_judged(gaps if rises else -gaps))


def wider(
    claims: Claims, here: pd.DataFrame, there: pd.DataFrame, mine: str, theirs: str, measure: str, place: str
) -> None:
    """The lead over another method is larger on the large data sets (here) than on the small ones, errors included."""
    first, second = (differences(lines, mine, theirs, measure) for lines in (here, there))
    error = _error(first) + _error(second)
    wider = first.mean() - second.mean()
    text = f"{mine}'s lead over {theirs} in {NAMES[measure]} is larger on the large sets than on the small ones"
    figures = f"{_points(first)} against {_points(second)}"
    enough = min(len(first), len(second)) >= FEWEST
    close = abs(wider) <= max(MARGIN, error)
    reason = FEW if not enough else CLOSE if close else ""
    claims.check(text, place, figures, None if reason else wider > 0, reason)


def clearer(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str
) -> None:  # fmt: skip
    """Of a probability one method's perturbation gives more than another's, image by image, by `MARGIN` points."""
    difference, error, images = gap(rows, mine, theirs, measure)
    close = abs(difference) <= max(MARGIN, error)
    reason = FEW_IMAGES if images < FEWEST_IMAGES else CLOSE if close else ""
    claims.check(text, place, f"{difference:+.1f} ± {error:.1f} points", None if reason else difference > 0, reason)


def differences(lines: pd.DataFrame, mine: str, theirs: str, measure: str) -> pd.Series:
    """How much more of a measure one method has, for every data set and k that has both."""
    wide = lines[lines["method"].isin([mine, theirs])].pivot(index=_CELL, columns="method", values=measure)
    return wide.reindex(columns=[mine, theirs]).diff(axis=1, periods=-1)[mine].dropna()


def ratio(lines: pd.DataFrame, mine: str, theirs: str, measure: str) -> tuple[float, float, int]:
    """Geometric mean of a measure's ratio, the error of its logarithm, and the cells."""
    logs = differences(lines.assign(**{measure: np.log(lines[measure])}), mine, theirs, measure)
    return float(np.exp(logs.mean())), _error(logs), len(logs)


def _error(values: pd.Series) -> float:
    return float(2 * values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def _judged(gaps: pd.Series) -> tuple[bool | None, str]:
    """Verdict and reason for differences that should be positive."""
    if len(gaps) < FEWEST:
        return None, FEW
    if abs(gaps.mean()) <= max(MARGIN, _error(gaps)):
        return None, CLOSE
    return bool(gaps.mean() > 0), ""


def _points(gaps: pd.Series) -> str:
    return f"{gaps.mean():+.1f} ± {_error(gaps):.1f} points"


def _times(of: float, error: float) -> str:
    return f"{of:.2f} times ({of * np.exp(-error):.2f} to {of * np.exp(error):.2f})"


def gains(claims: Claims, table: pd.DataFrame, start: int, end: int, text: str, place: str) -> None:
    """From one E to another the ASR rises by more than `ORDER` points, and under every order of the images.

    Parameters
    ----------
    claims : Claims
    table : DataFrame
        From `patience.patience`.
    start, end : int
        Values of E.
    text, place : str
    """
    wide = table.pivot(index="seed", columns="E", values="asr")
    steps = wide[end] - wide[start]
    figures = " and ".join(f"{step:+.0f}" for step in steps) + " points"
    sure = abs(steps.mean()) > ORDER and ((steps > 0).all() or (steps < 0).all())
    claims.check(text, place, figures, bool(steps.mean() > 0) if sure else None, "" if sure else CLOSE)


def highest_at(claims: Claims, table: pd.DataFrame, E: int, text: str, place: str) -> None:
    """One E has the highest mean ASR, by more than `ORDER` points."""
    means = table.groupby("E")["asr"].mean()
    lead = means[E] - means.drop(E).max()
    figures = ", ".join(f"{at}: {value:.0f}" for at, value in means.items())
    close = abs(lead) <= ORDER
    claims.check(text, place, figures, None if close else lead > 0, CLOSE if close else "")
