"""The claims of the MASW paper, each as one function that adds its verdict to the claims of an artefact.

Two attacks are compared image by image: a difference of an image is its mean over the blocks (case and k) in which both
were run, in percentage points, and its error two standard errors over images. A verdict needs a difference beyond
`MARGIN` and beyond that error, so that neither another rounding nor a few images turn it.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from companion.report.claims import Claims, is_above

MARGIN = 1.0  # percentage points
SLACK = 2.0  # percentage points that a rate may be short of what is claimed
RATIO = 0.05  # by which a mean ratio must differ from 1
FEWEST = 8  # images
NAMES = {"success": "ASR", "asr": "ASR", "sasr": "SASR", "lfr": "LFR", "sac": "SAC", "pert": "Pert"}
CLOSE, FEW = "too close for a verdict", f"fewer than {FEWEST} images"
BLOCK = ["dataset", "case", "k", "image"]


def paired(rows: pd.DataFrame, mine, theirs, measure: str, column: str = "method") -> pd.DataFrame:
    """A measure under two values of a column, for every image and block that has both: columns "mine" and "theirs"."""
    keys = [name for name in (*BLOCK, "method") if name != column and name in rows]
    both = rows[rows[column].isin([mine, theirs])]
    wide = both.assign(**{measure: both[measure].astype(float)}).pivot(index=keys, columns=column, values=measure)
    if not {mine, theirs} <= set(wide):
        return pd.DataFrame({"mine": [], "theirs": []}, index=pd.MultiIndex.from_arrays([[]] * len(keys), names=keys))
    return wide[[mine, theirs]].dropna().set_axis(["mine", "theirs"], axis=1)


def by_image(values: pd.Series) -> tuple[float, float, int]:
    """Mean over images, two standard errors, and the number of images."""
    images = values.groupby(["dataset", "image"]).mean()
    error = 2 * images.std(ddof=1) / len(images) ** 0.5 if len(images) > 1 else 0.0
    return images.mean(), error, len(images)


def gap(rows: pd.DataFrame, mine, theirs, measure: str, column: str = "method") -> tuple[float, float, int]:
    """How much more of a measure one has, in points of a hundred; see `by_image`."""
    wide = paired(rows, mine, theirs, measure, column)
    return by_image(100 * (wide["mine"] - wide["theirs"]))


def points(difference: float, error: float) -> str:
    """A difference and its error as text."""
    return f"{difference:+.1f} ± {error:.1f} points"


def more(
    claims: Claims, rows: pd.DataFrame, mine, theirs, measure: str, place: str, text: str = "", column: str = "method"
) -> None:
    """One has clearly more of a measure than another."""
    difference, error, images = gap(rows, mine, theirs, measure, column)
    text = text or f"{mine} has a higher {NAMES[measure]} than {theirs}"
    claims.check(text, place, points(difference, error), *_judged(difference, max(MARGIN, error), images))


def not_below(
    claims: Claims, rows: pd.DataFrame, mine, theirs, measure: str, place: str, text: str = "", column: str = "method"
) -> None:
    """One has at least as much of a measure as another, up to `SLACK`."""
    difference, error, images = gap(rows, mine, theirs, measure, column)
    text = text or f"{mine}'s {NAMES[measure]} is at least {theirs}'s"
    verdict = True if difference >= -SLACK else None if difference >= -SLACK - error else False
    enough = images >= FEWEST
    reason = "" if enough and verdict is not None else CLOSE if enough else FEW
    claims.check(text, place, points(difference, error), verdict if enough else None, reason)


def ratio(rows: pd.DataFrame, mine, theirs, measure: str, column: str = "method", won: bool = True):
    """Geometric mean of a measure's ratio, its error (of the logarithm) and the images, where both succeed if `won`."""
    wide = paired(rows[rows["success"]] if won else rows, mine, theirs, measure, column)
    wide = wide[(wide > 0).all(axis=1)]
    mean, error, images = by_image(np.log(wide["mine"] / wide["theirs"]))
    return float(np.exp(mean)), error, images


def comparable(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, place: str, most: float = 0.1) -> None:
    """Where both succeed one perturbation is about as large as the other, within a share of `most`."""
    of, _, images = ratio(rows, mine, theirs, "l2")
    enough = images >= FEWEST
    text = f"{mine}'s perturbations are about as large as {theirs}'s"
    claims.check(text, place, f"{of:.2f} times", abs(of - 1) <= most if enough else None, "" if enough else FEW)


def smaller(
    claims: Claims, rows: pd.DataFrame, mine, theirs, measure: str, place: str, text: str,
    column: str = "method", won: bool = True,
) -> None:  # fmt: skip
    """One needs less of something than another (pert, iterations, passes), by the geometric mean of ratios."""
    of, error, images = ratio(rows, mine, theirs, measure, column, won)
    low, high = of * np.exp(-error), of * np.exp(error)
    verdict, reason = _judged(-np.log(of), max(RATIO, error), images) if images else (None, FEW)
    claims.check(text, place, f"{of:.2f} times ({low:.2f} to {high:.2f})", verdict, reason)


def larger_gap(
    claims: Claims, here: pd.DataFrame, there: pd.DataFrame, mine: str, theirs: str, measure: str, place: str,
    names: tuple[str, str] = ("the large sets", "the small ones"),
) -> None:  # fmt: skip
    """One attack's lead over another is larger on some data sets than on others."""
    first, second = (gap(rows, mine, theirs, measure) for rows in (here, there))
    error = (first[1] ** 2 + second[1] ** 2) ** 0.5
    text = f"{mine}'s lead over {theirs} in {NAMES[measure]} is larger on {names[0]} than on {names[1]}"
    figures = f"{points(*first[:2])} against {points(*second[:2])}"
    claims.check(text, place, figures, *_judged(first[0] - second[0], max(MARGIN, error), min(first[2], second[2])))


def leaders(claims: Claims, table: pd.DataFrame, best: Sequence[str], place: str, measure: str = "asr") -> None:
    """Every one of some methods has, over all blocks alike, clearly more of a measure than every other method."""
    means = table.groupby("method", sort=False)[measure].mean()
    front, rest = means[means.index.isin(best)], means[~means.index.isin(best)]
    text = f"{', '.join(best)} have the highest {NAMES[measure]} of all"
    figures = f"{front.idxmin()} {front.min():.0f}, {rest.idxmax()} {rest.max():.0f}"
    difference = front.min() - rest.max()
    claims.check(text, place, figures, *_judged(difference, SLACK, int(table["images"].min())))


def ordered(
    claims: Claims, rows: pd.DataFrame, methods: Sequence[str], column: str, values: Sequence, measure: str, place: str,
    text: str, rises: bool = False,
) -> None:  # fmt: skip
    """From each value of a column to the next a measure falls (or rises), up to `SLACK`; from end to end clearly.

    A step against it counts beyond its error only.
    """
    figures, steps, total = [], [], 0.0
    for method in methods:
        own = rows[rows["method"] == method]
        means = own.groupby(column)[measure].mean().reindex(list(values))
        figures.append(f"{method} " + " → ".join(f"{100 * value:.0f}" for value in means))
        for a, b in itertools.pairwise(values):
            difference, error, images = gap(own, b, a, measure, column)
            steps.append((difference if rises else -difference, error, images))
        total += sum(step[0] for step in steps[1 - len(values) :]) / len(methods)
    enough = min(images for *_, images in steps) >= FEWEST
    if any(step < -max(SLACK, error) for step, error, _ in steps):
        verdict = False
    else:
        verdict = True if total > MARGIN and all(step >= -SLACK for step, *_ in steps) else None
    reason = FEW if not enough else CLOSE if verdict is None else ""
    claims.check(text, place, "; ".join(figures), verdict if enough else None, reason)


def grows(claims: Claims, rows: pd.DataFrame, method: str, ks: Sequence[int], place: str, least: float = 1.0) -> None:
    """A method's perturbation grows from the smallest to the largest k, where it succeeds at both."""
    of, error, images = ratio(rows[rows["method"] == method], ks[-1], ks[0], "l2", "k")
    text = f"{method}'s perturbations grow with k" + (f", at least {least:g}-fold" if least > 1 else "")
    verdict, reason = _judged(np.log(of / least), max(RATIO, error), images) if images else (None, FEW)
    claims.check(text, place, f"{of:.2f} times from k = {ks[0]} to {ks[-1]}", verdict, reason)


def below(claims: Claims, table: pd.DataFrame, methods: Sequence[str], most: float, place: str) -> None:
    """Some methods succeed on less than so many percent in every block."""
    lines = table[table["method"].isin(methods)]
    worst = lines.loc[lines["asr"].idxmax()]
    text = f"{' and '.join(methods)} succeed on less than {most:g} %, everywhere"
    figures = f"at most {worst['asr']:.0f} % ({worst['method']}, {worst['dataset']}, k = {worst['k']})"
    claims.check(text, place, figures, worst["asr"] < most + SLACK)


def smallest(claims: Claims, table: pd.DataFrame, method: str, place: str) -> None:
    """A method has the smallest Pert of successes of all, in every block in which it has a success."""
    blocks = table.pivot(index=["dataset", "case", "k"], columns="method", values="pert")
    blocks, text = blocks[blocks[method].notna()], f"{method} has the smallest perturbations of all"
    if blocks.empty:
        claims.check(text, place, "", None, f"{method} never succeeds")
        return
    share = (blocks[method] <= blocks.drop(columns=method).min(axis=1) * (1 + 1e-6)).mean()
    claims.check(text, place, f"in {100 * share:.0f} % of blocks", share == 1)


def at_the_ball(claims: Claims, rows: pd.DataFrame, method: str, radius: dict[str, float], place: str) -> None:
    """A method's perturbations fill the ball: l2 is at least 0.9 τ on most images (radius: by data set)."""
    own = rows[rows["method"] == method]
    share = (own["l2"] >= 0.9 * own["dataset"].map(radius)).mean()
    claims.check(f"{method}'s perturbations reach the ball", place, f"{100 * share:.0f} % of images", share > 0.5)


def bounded_by(claims: Claims, table: pd.DataFrame, place: str) -> None:
    """ASR is at most SASR for every method and block, as complete success implies."""
    excess = (table["asr"] - table["sasr"]).max()
    text = "ASR never exceeds SASR"
    claims.check(text, place, f"at most {excess:+.2f} points above", excess <= 1e-6)


def same_for_all_k(claims: Claims, table: pd.DataFrame, methods: Sequence[str], place: str) -> None:
    """Generators do not know k: one LFR for all."""
    own = table[table["method"].isin(methods)]
    if own.empty:
        return
    spread = own.groupby(["dataset", "method"])["lfr"].agg(np.ptp).max()
    claims.check(f"{' and '.join(methods)} have one LFR for every k", place, f"range {spread:.2f}", spread <= 1e-6)


def trend(claims: Claims, text: str, place: str, curve: pd.Series, least: float = MARGIN, rises: bool = True) -> None:
    """From one end of a curve to the other it rises (or falls) by at least `least`; without a verdict in between."""
    change = (curve.iloc[-1] - curve.iloc[0]) * (1 if rises else -1)
    figures = " → ".join(f"{value:.3g}" for value in curve)
    claims.check(
        text,
        place,
        figures,
        None if abs(change) < least else change > 0,
        "it hardly changes" if abs(change) < least else "",
    )


def best_at(claims: Claims, text: str, place: str, curve: pd.Series, wanted) -> None:
    """A curve has its maximum at one of its points; without a verdict where another is within `MARGIN`."""
    others = curve.drop(wanted)
    lead = curve[wanted] - others.max()
    figures = ", ".join(f"{at:g}: {value:.1f}" for at, value in curve.items())
    close = abs(lead) < MARGIN
    claims.check(text, place, figures, None if close else lead > 0, CLOSE if close else "")


def as_measured(claims: Claims, text: str, place: str, figures: str, reason: str) -> None:
    """A claim that a stand-in cannot decide: our figures without a verdict."""
    claims.check(text, place, figures, None, reason)


def _judged(difference: float, margin: float, images: int) -> tuple[bool | None, str]:
    """Verdict and reason for a difference that should be positive."""
    if images < FEWEST:
        return None, FEW
    verdict = is_above(difference, margin)
    return verdict, CLOSE if verdict is None else ""
