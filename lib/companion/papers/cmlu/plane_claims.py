"""The claims of the CMLU paper on vectors themselves and on sums of two: Figures 1, 2, 4 and 5.

Pairs of labels are compared as `claims` compares target sets: a verdict needs as many pairs and images, and the
same margin.
"""

import pandas as pd
from torch import Tensor

from companion.papers.cmlu.claims import CLOSE, IMAGES, MARGIN, SETS, above, enough, not_below
from companion.report.claims import Claims


def unrelated(claims: Claims, cosines: Tensor, text: str, place: str, most: float = 0.1) -> None:
    """The mean |cosine| is about 0."""
    sizes = cosines.abs()
    mean, largest = sizes.mean().item(), sizes.max().item()
    figures = f"mean |cosine| {mean:.3f}, largest {largest:.3f}"
    if abs(mean - most) < 0.1 * most:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, mean < most)


def hides(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """The sum of a pair's vectors of CMLU_beta hides both labels on most images. `rows` as for `both_off`."""
    both = _under(rows, "sum", "both")
    text = "the sum of CMLU-β's vectors hides both labels on more than half of the images"
    above(claims, text, place, f"{both.mean():.0f} % over {len(both)} pairs", both - 50, _carry(rows), MARGIN)


def one_label_each(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """A vector of CMLU_beta hides its own label and leaves the other one on. `rows` as for `both_off`."""
    own = pd.concat([_under(rows, "first", "off 1"), _under(rows, "second", "off 2")])
    text = "a CMLU-β vector hides its own label on more than 90 % of the images"
    above(claims, text, place, f"{own.mean():.0f} %", own - 90, _carry(rows), MARGIN)
    other = pd.concat([_under(rows, "first", "off 2"), _under(rows, "second", "off 1")])
    text = "a CMLU-β vector leaves the other label on, on more than 75 % of the images"
    above(claims, text, place, f"the other goes off on {other.mean():.0f} %", 25 - other, _carry(rows), MARGIN)


def _under(rows: pd.DataFrame, perturbation: str, what: str) -> pd.Series:
    """A column of `switched_off`, pair by pair, under one perturbation of CMLU_beta."""
    return rows[(rows["method"] == "CMLU_beta") & (rows["perturbation"] == perturbation)].set_index("omega")[what]


def _carry(rows: pd.DataFrame) -> bool:
    """Whether the pairs of `switched_off` can carry a verdict."""
    return enough(rows.drop_duplicates("omega"))


def own_direction(claims: Claims, outside: pd.DataFrame, place: str) -> None:
    """The Oracle's vector for two labels is no mixture of its vectors for each. `outside` is of `plane.outside`."""
    text = "the Oracle's own vector for two labels lies for more than half outside the plane of its vectors for each"
    figures = f"{outside['share'].mean():.0f} % of its squared length over {len(outside)} pairs"
    above(claims, text, place, figures, outside["share"] - 50, enough(outside), MARGIN)


def orthogonality_helps(claims: Claims, with_term: float, without: float, place: str, least: float = 0.01) -> None:
    """The term that pulls vectors towards orthogonality lowers their mean |cosine|."""
    text = "the orthogonality term lowers the mean |cosine| among CMLU-β's vectors"
    figures = f"{with_term:.3f} with it, {without:.3f} without"
    if abs(without - with_term) < least:
        claims.check(text, place, figures, None, f"they differ by less than {least:g}")
    else:
        claims.check(text, place, figures, with_term < without)


def both_off(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """Where the sum of a pair's vectors meets the ball, CMLU_beta hides both labels more often than Oracle vectors.

    Parameters
    ----------
    rows : DataFrame
        Of `plane.switched_off` for "Or-S" and "CMLU_beta".
    """
    text = "at the sum of two vectors both labels go off far more often for CMLU-β than for Oracle vectors"
    sums = rows[rows["perturbation"] == "sum"]
    mine, theirs = (sums[sums["method"] == method].set_index("omega") for method in ("CMLU_beta", "Or-S"))
    figures = f"{mine['both'].mean():.0f} against {theirs['both'].mean():.0f} % of images"
    above(claims, text, place, figures, mine["both"] - theirs["both"], enough(mine), 5 * MARGIN)


def region(claims: Claims, points: pd.DataFrame, place: str) -> None:
    """Within the ball the plane of CMLU_beta's vectors has a region with both labels off, that of Oracle vectors none.

    Parameters
    ----------
    points : DataFrame
        Of `plane.in_the_ball` for both kinds of vectors, with the column method: "Or-S" or "CMLU_beta".
    """
    mine, theirs = (points[points["method"] == method].set_index("omega") for method in ("CMLU_beta", "Or-S"))
    best, text = mine["best"] - theirs["best"], "the best point in the ball hides both labels on more images for CMLU-β"
    figures = f"{mine['best'].mean():.0f} against {theirs['best'].mean():.0f} % of images"
    above(claims, text, place, figures, best, enough(mine), MARGIN)
    _wide(claims, mine["share"], theirs["share"], enough(mine), place)


def _wide(claims: Claims, mine: pd.Series, theirs: pd.Series, carries: bool, place: str) -> None:
    text = "CMLU-β has a region in the ball where both labels are off on most images, Oracle vectors none or half of it"
    figures = f"{mine.mean():.1f} against {theirs.mean():.1f} % of the points in the ball"
    if carries and not mine.any():
        claims.check(text, place, figures, False)
    else:
        above(claims, text, place, figures, mine - 2 * theirs, carries)


def adds(claims: Claims, gains: pd.Series, images: int, place: str) -> None:
    """The sum of two vectors hides both labels on at least as many images as either of them alone.

    Parameters
    ----------
    gains : Series
        Of `plane.gains`, in points.
    images : int
        Behind them.
    """
    text = "the sum hides both labels on at least as many images as either of its vectors alone"
    figures = f"{gains.mean():+.1f} points over {len(gains)} pairs, the best {gains.max():+.1f}"
    not_below(claims, text, place, figures, gains, len(gains) >= SETS and images >= IMAGES)
