"""The claims of the CMLU paper, each as one function that adds its verdict to the claims of an artefact.

Methods are compared target set by target set, on the same sets and images. A verdict needs `SETS` sets with `IMAGES`
images in all and a mean difference beyond `MARGIN` points and two standard errors, so that neither another rounding nor
one lucky set turns it.
"""

import pandas as pd
from torch import Tensor

from flipbook.papers.cmlu import shown
from flipbook.report.claims import Claims
from flipbook.report.numbers import written

MARGIN = 2.0  # percentage points
SETS, IMAGES = 4, 60
FEW = "too few target sets or images"
CLOSE = "too close for a verdict"
UNEVEN = "too close, or too uneven over the sets, for a verdict"


def enough(rows: pd.DataFrame) -> bool:
    """Whether target sets (rows of one method and size) can carry a verdict."""
    return len(rows) >= SETS and rows["images"].sum() >= IMAGES


def _of(rows: pd.DataFrame, method: str, size: int) -> pd.DataFrame:
    return rows[(rows["method"] == method) & (rows["size"] == size)].set_index("omega")


def higher(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, size: int, place: str) -> None:
    """One method hides more than another, over the sets of one size."""
    text = f"|Ω| = {size}: {shown(mine)} has a higher FR than {shown(theirs)}"
    a, b = _of(rows, mine, size), _of(rows, theirs, size)
    difference = (a["FR"] - b["FR"]).dropna()
    figures = f"{a['FR'].mean():.1f} against {b['FR'].mean():.1f} % over {len(difference)} sets"
    if not enough(a):
        claims.check(text, place, figures, None, FEW)
    elif abs(difference.mean()) < max(MARGIN, 2 * difference.sem()):
        claims.check(text, place, figures, None, UNEVEN)
    else:
        claims.check(text, place, figures, difference.mean() > 0)


def near(claims: Claims, rows: pd.DataFrame, size: int, place: str, points: float = MARGIN) -> None:
    """CMLU_beta's FR is at most some points below the Oracle's."""
    text = f"|Ω| = {size}: CMLU-β is within {points:g} points of the Oracle's FR"
    mine, best = _of(rows, "CMLU_beta", size), _of(rows, "Oracle", size)
    short = (best["FR"] - mine["FR"]).dropna()
    figures = f"{mine['FR'].mean():.1f} against {best['FR'].mean():.1f} %"
    if not enough(mine):
        claims.check(text, place, figures, None, FEW)
    elif abs(short.mean() - points) < 2 * short.sem():
        claims.check(text, place, figures, None, UNEVEN)
    else:
        claims.check(text, place, figures, short.mean() < points)


def not_lower(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, size: int, place: str) -> None:
    """One method hides at least as much as another: by `MARGIN` and two standard errors it is not below."""
    text = f"|Ω| = {size}: {shown(mine)} has at least the FR of {shown(theirs)}"
    a, b = _of(rows, mine, size), _of(rows, theirs, size)
    difference = (a["FR"] - b["FR"]).dropna()
    figures = f"{a['FR'].mean():.1f} against {b['FR'].mean():.1f} %"
    if not enough(a):
        claims.check(text, place, figures, None, FEW)
    elif difference.mean() - 2 * difference.sem() > -MARGIN:
        claims.check(text, place, figures, True)
    elif difference.mean() < -max(MARGIN, 2 * difference.sem()):
        claims.check(text, place, figures, False)
    else:
        claims.check(text, place, figures, None, UNEVEN)


def collapses(claims: Claims, rows: pd.DataFrame, method: str, place: str, most: float = 10.0) -> None:
    """At the largest size that can be judged a method hides next to nothing, where the Oracle hides much more."""
    text = f"{shown(method)} collapses as Ω grows, where the Oracle does not"
    sizes = [int(of) for of in sorted(rows["size"].unique()) if enough(_of(rows, method, of))]
    if not sizes or sizes[-1] == 1:
        claims.check(text, place, "", None, FEW)
        return
    mine, best = (_of(rows, name, sizes[-1])["FR"].mean() for name in (method, "Oracle"))
    figures = f"|Ω| = {sizes[-1]}: {mine:.1f} %, the Oracle {best:.1f} %"
    if best < 3 * most:
        claims.check(text, place, figures, None, "the Oracle hides too little there")
    else:
        claims.check(text, place, figures, mine < most)


def same_drift(claims: Claims, rows: pd.DataFrame, size: int, place: str, most: float = 1.5) -> None:
    """CMLU_beta's NT_R is at most `most` times the Oracle's, the largest ratio of Table 1."""
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


def cheaper(claims: Claims, rows: pd.DataFrame, sets: int, place: str) -> None:
    """CMLU_beta's training costs as much as the Oracle's of the single labels, and serves all sets."""
    costs = {method: part.groupby("size")["passes"].first() for method, part in rows.groupby("method")}
    beta, single = costs["CMLU_beta"].iloc[0], costs["Oracle"].loc[1]
    every = single / len(_of(rows, "Oracle", 1)) * sets
    beta_text, single_text, every_text = (written(number, "passes") for number in (beta, single, every))
    figures = f"{beta_text} passes; Oracle {single_text} for single labels, {every_text} for all {sets} sets"
    text = "CMLU-β's training grows with the labels, the Oracle's with the target sets"
    claims.check(text, place, figures, beta <= 1.01 * single and beta < 0.1 * every)


def linear(claims: Claims, growth: pd.DataFrame, place: str) -> None:
    """The passes of an epoch are in proportion to the labels for CMLU_beta, and outgrow that for the Oracle."""
    curves = {method: part.set_index("labels")["passes"] for method, part in growth.groupby("method")}
    beta, oracle = curves["CMLU_beta"], curves["Oracle"]
    last, times = beta.index[-1], [curve.iloc[-1] / curve.loc[1] for curve in (beta, oracle)]
    figures = f"{last} labels: {times[0]:g} times the passes of one label; Oracle {times[1]:g} times"
    proportional = (beta == beta.loc[1] * beta.index).all()
    text = "the passes of an epoch grow linearly with the labels for CMLU-β, faster for the Oracle of all sets"
    claims.check(text, place, figures, bool(proportional and times[1] > 2 * times[0]))


def too_rare(claims: Claims, counts: pd.DataFrame, above: int, text: str, place: str, least: int) -> None:
    """No verdict on sets of more than `above` labels, with the number of images that the most frequent of them has.

    Raises
    ------
    ValueError
        When some set has `least` images, so that a verdict is due.
    """
    most = int(counts[counts["size"] > above]["most"].max())
    if most >= least:
        raise ValueError(
            f"a set of more than {above} labels has {most} images: attack such sets, {least} images will do"
        )
    claims.check(text, place, f"most images of a set of more than {above} labels: {most}", None, FEW)


def monotone(claims: Claims, text: str, curve: pd.Series, place: str, rises: bool, unit: float = 1.0) -> None:
    """A mean over sets rises (or falls) from its first to its last value, and goes back by at most `unit` between."""
    steps = curve.sort_index()
    change = steps.diff().dropna() * (1 if rises else -1)
    total = (steps.iloc[-1] - steps.iloc[0]) * (1 if rises else -1)
    figures = " → ".join(f"{value:.1f}" for value in steps)
    if steps.isna().any():
        claims.check(text, place, figures, None, "nothing is hidden at one of the values")
    elif abs(total) < unit:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, total > 0 and (change > -unit).all())


def falls_faster(claims: Claims, curves: dict[str, pd.Series], mine: str, theirs: str, text: str, place: str) -> None:
    """From its first to its last value one method's mean loses more than another's."""
    lost = {method: curve.iloc[0] - curve.iloc[-1] for method, curve in curves.items()}
    figures = f"{shown(mine)} loses {lost[mine]:.1f} points, {shown(theirs)} {lost[theirs]:.1f}"
    if abs(lost[mine] - lost[theirs]) < MARGIN:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, lost[mine] > lost[theirs])


def unrelated(claims: Claims, cosines: Tensor, text: str, place: str, most: float = 0.1) -> None:
    """The mean |cosine| is about 0."""
    sizes = cosines.abs()
    mean, largest = sizes.mean().item(), sizes.max().item()
    figures = f"mean |cosine| {mean:.3f}, largest {largest:.3f}"
    if abs(mean - most) < 0.1 * most:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, mean < most)


def both_off(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """Where the sum of a pair's vectors meets the ball, CMLU_beta hides both labels more often than Oracle vectors.

    Parameters
    ----------
    rows : DataFrame
        Of `cmlu.switched_off` for "Or-S" and "CMLU_beta".
    """
    text = "at the sum of two vectors both labels go off far more often for CMLU-β than for Oracle vectors"
    sums = rows[rows["perturbation"] == "sum"]
    mine, theirs = (sums[sums["method"] == method].set_index("omega")["both"] for method in ("CMLU_beta", "Or-S"))
    images, difference = sums.drop_duplicates("omega")["images"].sum(), mine - theirs
    figures = f"{mine.mean():.0f} against {theirs.mean():.0f} % of images"
    if len(mine) < SETS or images < IMAGES:
        claims.check(text, place, figures, None, FEW)
    elif abs(difference.mean()) < max(5 * MARGIN, 2 * difference.sem()):
        claims.check(text, place, figures, None, UNEVEN)
    else:
        claims.check(text, place, figures, difference.mean() > 0)
