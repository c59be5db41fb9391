"""The claims of the SAPF paper, each as one function that adds its verdict to the claims of an artefact.

Two attacks are compared pair by pair, on the pairs that both reach: `ratios` of a norm. A verdict needs a geometric
mean of the ratios that differs from 1 by `MARGIN` and by two standard errors, so that neither another rounding nor a
few pairs turn it.
"""

import numpy as np
import pandas as pd

from companion.report.claims import Claims, is_above

MARGIN = 0.03
SLACK = 2.0  # percentage points that a rate may be short of what is claimed
PLACES = {"CIFAR-10": "Table 1, CIFAR-10", "ImageNet": "Table 1, ImageNet"}
NAMES = {"l0": "ℓ0", "l1": "ℓ1", "l2": "ℓ2", "linf": "ℓ∞"}


def ratios(rows: pd.DataFrame, mine: str, theirs: str, norm: str) -> pd.Series:
    """A norm of one method divided by another's, for every pair that both reach."""
    wide = rows[rows["reached"]].pivot(index=["image", "target"], columns="method", values=norm)
    if not {mine, theirs} <= set(wide):
        return pd.Series(dtype=float)
    return (wide[mine] / wide[theirs]).dropna()


def smaller(claims: Claims, text: str, place: str, ratio: pd.Series) -> None:
    """On (geometric) average over pairs the ratio is below 1; figures give two standard errors to either side."""
    if len(ratio) < 2:
        claims.check(text, place, f"{len(ratio)} pairs", None, "fewer than two pairs that both attacks reach")
        return
    logs = np.log(ratio)
    mean, error = logs.mean(), logs.std(ddof=1) / len(logs) ** 0.5
    low, high = np.exp([mean - 2 * error, mean + 2 * error])
    figures = (
        f"ratio {np.exp(mean):.2f} ({low:.2f} to {high:.2f}), below 1 on {100 * (ratio < 1).mean():.0f} % of pairs"
    )
    verdict = is_above(-mean, 2 * error, MARGIN)
    claims.check(text, place, figures, verdict, "too close for a verdict" if verdict is None else "")


def beats(claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, norms: tuple[str, ...], place: str) -> None:
    """One attack has smaller norms than another."""
    for norm in norms:
        smaller(claims, f"{mine} has a smaller {NAMES[norm]} than {theirs}", place, ratios(rows, mine, theirs, norm))


def always_succeeds(claims: Claims, table: pd.DataFrame, methods: tuple[str, ...], place: str) -> None:
    """100 % success in the best, average and worst case."""
    for method in methods:
        rates = table[table["method"] == method].set_index("case")["asr"]
        figures = ", ".join(f"{case} {rate:.0f} %" for case, rate in rates.items())
        claims.check(f"{method} reaches every target in every case", place, figures, (rates >= 100 - SLACK).all())


def weak_and_loud(claims: Claims, table: pd.DataFrame, method: str, place: str) -> None:
    """An attack has the lowest success rate on average, and the largest single changes."""
    average = table[table["case"] == "average"].set_index("method")
    rate, loudest = average["asr"], average["linf"]
    figures = f"ASR {rate[method]:.0f} %, of the others at least {rate.drop(method).min():.0f} %"
    claims.check(f"{method} has the lowest success rate", place, figures, rate[method] < rate.drop(method).min())
    text = f"{method} has the largest ℓ∞"
    if pd.isna(loudest[method]):
        claims.check(text, place, "", None, "it reaches no target")
    else:
        figures = f"{loudest[method]:.2f}, of the others at most {loudest.drop(method).max():.2f}"
        claims.check(text, place, figures, loudest[method] > loudest.drop(method).max())


def stays_below(claims: Claims, table: pd.DataFrame, method: str, most: float, place: str) -> None:
    """An attack misses many targets."""
    rate = table[(table["method"] == method) & (table["case"] == "average")]["asr"].item()
    claims.check(f"{method} misses many targets", place, f"ASR {rate:.0f} %", rate <= most)


def nearly_succeeds(claims: Claims, table: pd.DataFrame, method: str, least: float, place: str) -> None:
    """An attack reaches nearly all targets."""
    rate = table[(table["method"] == method) & (table["case"] == "average")]["asr"].item()
    claims.check(f"{method} reaches nearly every target", place, f"ASR {rate:.0f} %", rate >= least)


def smallest(claims: Claims, table: pd.DataFrame, method: str, norm: str, place: str, least: float = 90) -> None:
    """Among methods that reach more than `least` % an attack has the smallest mean of a norm, in all three cases."""
    verdicts, figures = [], []
    for case, part in table.groupby("case", sort=False):
        means = part[part["asr"] > least].set_index("method")[norm]
        if method not in means:
            verdicts.append(False)
            figures.append(f"{case}: it reaches too few")
            continue
        rival = means.drop(method).idxmin()
        ratio = means[method] / means[rival]
        verdicts.append(None if abs(ratio - 1) < MARGIN else ratio < 1)
        figures.append(f"{case}: {means[method]:.2f}, {rival} {means[rival]:.2f}")
    text = f"{method} has the smallest {NAMES[norm]} of all that reach more than {least:.0f} %, in every case"
    if False in verdicts:
        claims.check(text, place, "; ".join(figures), False)
    elif None in verdicts:
        claims.check(text, place, "; ".join(figures), None, "too close for a verdict")
    else:
        claims.check(text, place, "; ".join(figures), True)


def targets_differ(claims: Claims, table: pd.DataFrame, method: str, printed: float, place: str) -> None:
    """The hardest target costs a clearly larger l2 than the easiest."""
    l2 = table[table["method"] == method].set_index("case")["l2"]
    ratio = l2["worst"] / l2["best"]
    text = f"For {method} the hardest target costs clearly more ℓ2 than the easiest"
    claims.check(text, place, f"{ratio:.2f} times (the paper: {printed:.2f})", ratio > 1 + 2 * MARGIN)


def falls(claims: Claims, curve: pd.Series, name: str, place: str, rises: bool = False) -> None:
    """A mean over pairs falls (or rises) with k: at every step by more than rounding, or up to 2 % against it."""
    steps = curve.sort_index()
    change = steps.iloc[1:].to_numpy() / steps.iloc[:-1].to_numpy()
    ends = steps.iloc[-1] / steps.iloc[0]
    monotone = (change > 0.98).all() if rises else (change < 1.02).all()
    far = ends > 1 + MARGIN if rises else ends < 1 - MARGIN
    word = "rises" if rises else "falls"
    figures = " → ".join(f"{value:.3g}" for value in steps)
    claims.check(f"{name} {word} as more positions may change", place, figures, monotone and far)


def less(claims: Claims, text: str, place: str, shares: pd.Series, mine: str, theirs: str) -> None:
    """One share is smaller than another by at least two points of a hundred."""
    figures = ", ".join(f"{name} {value:.2f}" for name, value in shares.items())
    difference = shares[mine] - shares[theirs]
    if abs(difference) < 0.02:
        claims.check(text, place, figures, None, "too close for a verdict")
    else:
        claims.check(text, place, figures, difference < 0)
