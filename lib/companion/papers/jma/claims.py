"""The claims of the JMA paper, each as one function that adds its verdict to the claims of a table.

Verdicts have margins, so that other roundings on another machine do not turn them: a share may be short by `SLACK`, and
of two means that lie within a factor `CLOSE` neither is called the smaller.
"""

import pandas as pd

from companion.report.claims import Claims
from flipbook.metrics.aggregate import common_successes, summarise

SLACK = 0.02
GAP = 0.3  # one image of four makes no verdict
CLOSE = 1.2  # two means within this factor of each other are too close for a verdict
ONE_SHOT = 6  # iterations of a success at the first linearisation: the search steps alone


def reaches(claims: Claims, ours: pd.DataFrame, printed: pd.DataFrame, place: str) -> None:
    """JMA's best row succeeds as often as the best that the paper prints (rows marked doubtful aside)."""
    theirs = (
        printed[(printed["method"] == "JMA") & ~printed["note"].str.startswith("DOUBTFUL")]["asr"].astype(float).max()
    )
    best = _paper_rows(ours)["asr"].max()
    text = f"JMA's best row reaches the paper's best success rate, {theirs:.2f}"
    claims.check(text, place, f"ASR {best:.2f}", best >= theirs - SLACK)


def most_successful(claims: Claims, ours: pd.DataFrame, place: str) -> None:
    """No other attack of the table has a higher success rate than JMA's best row."""
    best = ours.groupby("method", sort=False)["asr"].max()
    rivals = best.drop("JMA")
    figures = ", ".join(f"{name} {value:.2f}" for name, value in rivals.items())
    claims.check(
        "No attack succeeds more often than JMA",
        place,
        f"JMA {best['JMA']:.2f}; {figures}",
        best["JMA"] >= rivals.max() - SLACK,
    )


def clearly_ahead(claims: Claims, ours: pd.DataFrame, rival: str, gap: float, place: str) -> None:
    """JMA's best printed row succeeds more often than the rival's best printed row by at least `gap`."""
    mine, theirs = (_paper_rows(ours, method)["asr"].max() for method in ("JMA", rival))
    text = f"JMA succeeds clearly more often than {rival}"
    claims.check(text, place, f"{mine:.2f} against {theirs:.2f}", mine - theirs >= gap)


def helpless(claims: Claims, ours: pd.DataFrame, method: str, place: str) -> None:
    """An attack hardly ever reaches the whole target; and it repairs at most a few labels more than it breaks."""
    rows = _paper_rows(ours, method)
    asr, gain = rows["asr"].max(), (rows["basr"] - rows["do_nothing_basr"]).max()
    claims.check(f"{method} fails", place, f"ASR {asr:.2f}", asr <= 0.05)
    text = f"{method} has no more labels right than an attack that does nothing would have"
    claims.check(text, place, f"bASR {gain:+.3f} from doing nothing", gain <= SLACK)


def begins(claims: Claims, ours: pd.DataFrame, method: str, place: str) -> None:
    """An attack's printed row reaches at least some targets."""
    asr = _paper_rows(ours, method)["asr"].max()
    claims.check(f"{method} reaches some of the targets", place, f"ASR {asr:.2f}", asr > 0)


def bound_decides(claims: Claims, ours: pd.DataFrame, victim: str = "") -> None:
    """Our own SemA-ML row with the largest ε succeeds clearly more often than the row with the paper's."""
    rows = ours[ours["method"] == "SemA-ML"]
    widest, printed = rows.iloc[-1], _paper_rows(rows, "SemA-ML").iloc[0]
    text = f"With {widest['parameters'].split(', ')[1]} SemA-ML succeeds clearly more often than with the paper's 0.01"
    _more_often(claims, text, f"not in the paper{victim and ': ' + victim}", widest["asr"], printed["asr"])


def consistency_helps(claims: Claims, consistent: pd.DataFrame, random: pd.DataFrame, text: str, place: str) -> None:
    """An attack's share of consistent targets reached is clearly larger than its share of random ones."""
    _more_often(claims, text, place, consistent["reached"].mean(), random["reached"].mean())


def one_shot(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """The share of images that need one linearisation is the same in all JMA rows (the full step is tried first)."""
    quick = _paper_rows(rows).assign(quick=lambda t: t["reached"] & (t["iterations"] == ONE_SHOT))
    shares = quick.groupby("parameters", sort=False)["quick"].mean()
    text, figures = (
        "The share of one-shot successes does not depend on ε",
        ", ".join(f"{share:.2f}" for share in shares),
    )
    if not shares.any():
        claims.check(text, place, figures, None, "no image is reached in one shot")
    else:
        claims.check(text, place, figures, shares.nunique() == 1)


def larger_steps(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """Along increasing ε: fewer iterations, and a larger MSE, on images that all JMA rows reach."""
    won = common_successes(_paper_rows(rows))
    means = summarise(won).assign(step=lambda t: t["parameters"].map(_step)).sort_values("step") if len(won) else won
    if len(means) < 2:
        reason = "fewer than two JMA rows have images in common that they reach"
        claims.check("A larger ε needs fewer iterations at a larger MSE", place, "", None, reason)
        return
    first, last = means.iloc[0], means.iloc[-1]
    steps = f"ε {first['step']:g} → {last['step']:g}"
    figures = f"{steps}: {first['mean_iterations']:.1f} → {last['mean_iterations']:.1f}"
    _smaller(
        claims, "A larger ε needs fewer iterations", place, figures, last["mean_iterations"], first["mean_iterations"]
    )
    figures = f"{steps}: {first['mse']:.1e} → {last['mse']:.1e}"
    _smaller(claims, "A larger ε costs a larger MSE", place, figures, first["mse"], last["mse"])


def cheaper(claims: Claims, rows: pd.DataFrame, rival: str, place: str) -> None:
    """Passes until the first success, and in all, of JMA's best row against the rival's best row."""
    best = summarise(pd.concat([_paper_rows(rows), _paper_rows(rows, rival)]))
    mine, theirs = _strongest(best, "JMA"), _strongest(best, rival)
    for what, column in (("to its first success", "first_success"), ("in all", "passes")):
        text = f"JMA needs fewer passes than {rival} {what}"
        if not theirs["asr"] or not mine["asr"]:
            claims.check(text, place, "", None, f"{rival if mine['asr'] else 'JMA'} reaches no image here")
        else:
            figures = f"{mine[column]:.0f} against {theirs[column]:.0f}"
            _smaller(claims, text, place, figures, mine[column], theirs[column])


def cheaper_than_released(claims: Claims, ours: pd.DataFrame, place: str) -> None:
    """JMA's quickest printed row against ML-C&W as the paper's code runs it: λ fixed, first success kept."""
    mine = _paper_rows(ours).sort_values("first_success").iloc[0]
    theirs = ours[ours["parameters"].str.contains("released")].iloc[0]
    text = "JMA needs fewer passes than ML-C&W as released, which stops at its first success"
    if not theirs["asr"]:
        claims.check(text, place, "", None, "ML-C&W as released reaches no image here")
        return
    figures = f"{mine['first_success']:.0f} against {theirs['first_success']:.0f}"
    _smaller(claims, text, place, figures, mine["first_success"], theirs["first_success"])


def margin_helps(claims: Claims, ours: pd.DataFrame) -> None:
    """Our own row with a margin κ against the printed row of the same ε: fewer iterations."""
    with_margin = ours[ours["parameters"].str.contains("kappa")].iloc[0]
    without = _paper_rows(ours)
    without = without[without["parameters"].map(_step) == _step(with_margin["parameters"])].iloc[0]
    means = with_margin["mean_iterations"], without["mean_iterations"]
    figures = f"{means[0]:.1f} against {means[1]:.1f}"
    _smaller(claims, "A margin κ = 0.1 saves JMA iterations", "not in the paper, which has κ = 0", figures, *means)


def less_distortion(
    claims: Claims, rows: pd.DataFrame, rival: str, place: str, expected: bool = True, added: bool = False
) -> None:
    """MSE of JMA's gentlest successful row against the rival's, on images that both reach.

    With `expected` False the claim is the opposite one, that the rival distorts less. With `added` the rival may use
    the rows that we added for it.
    """
    theirs = rows[rows["method"] == rival] if added else _paper_rows(rows, rival)
    best = summarise(pd.concat([_paper_rows(rows), theirs]))
    mine, theirs = _gentlest(best, "JMA"), _gentlest(best, rival)
    pair = rows[_is(rows, mine) | _is(rows, theirs)]
    won = common_successes(pair)
    winner, loser = ("JMA", rival) if expected else (rival, "JMA")
    text = f"{winner} distorts less than {loser}, on images that both reach"
    if won["image"].nunique() < 3:
        claims.check(text, place, "", None, "fewer than three images are reached by both")
        return
    mse = won.groupby("method")["mse"].mean()
    figures = f"JMA {mine['parameters']} {mse['JMA']:.1e}, {rival} {theirs['parameters']} {mse[rival]:.1e}"
    _smaller(claims, text, place, figures, mse[winner], mse[loser])


def easier(claims: Claims, easy: pd.DataFrame, hard: pd.DataFrame, text: str, place: str) -> None:
    """JMA's mean iterations over all its rows are fewer in one setting than in another."""
    means = [_paper_rows(rows)[lambda t: t["reached"]]["iterations"].mean() for rows in (easy, hard)]
    _smaller(claims, text, place, f"{means[0]:.1f} against {means[1]:.1f} iterations", *means)


def _more_often(claims: Claims, text: str, place: str, often: float, seldom: float) -> None:
    """The claim that one success rate is clearly larger than another; no verdict where an image or two make it so."""
    figures = f"{often:.2f} against {seldom:.2f}"
    if SLACK < often - seldom < GAP:
        claims.check(text, place, figures, None, "too few images between them")
    else:
        claims.check(text, place, figures, often > seldom + SLACK)


def _smaller(claims: Claims, text: str, place: str, figures: str, small: float, large: float) -> None:
    """The claim that one mean is smaller than another; no verdict where they are close."""
    if 1 / CLOSE < small / large < CLOSE:
        claims.check(text, place, figures, None, "too close to call")
    else:
        claims.check(text, place, figures, small < large)


def _paper_rows(rows: pd.DataFrame, method: str = "JMA") -> pd.DataFrame:
    """An attack's rows without those that we added with an option of our own (κ = …, as released)."""
    return rows[(rows["method"] == method) & ~rows["parameters"].str.contains("=|released")]


def _strongest(best: pd.DataFrame, method: str) -> pd.Series:
    """The row of a method with the highest ASR, among equals the one with the fewest passes."""
    return best[best["method"] == method].sort_values(["asr", "passes"], ascending=[False, True]).iloc[0]


def _gentlest(best: pd.DataFrame, method: str) -> pd.Series:
    """Among the rows of a method that come near its highest ASR, the one with the smallest MSE."""
    enough = best["asr"] >= _strongest(best, method)["asr"] - SLACK
    return best[(best["method"] == method) & enough].sort_values("mse").iloc[0]


def _is(rows: pd.DataFrame, line: pd.Series) -> pd.Series:
    return (rows["method"] == line["method"]) & (rows["parameters"] == line["parameters"])


def _step(parameters: str) -> float:
    return float(parameters.strip("()").split(",")[0])
