"""The claims of the MASW paper about MADW's parameters, Figure S.5."""

import pandas as pd

from companion.papers.masw import claims as claim
from companion.papers.masw.damping import LAM1, curve
from companion.report import Claims


def figure_s05(rows: pd.DataFrame, attacks: pd.DataFrame) -> Claims:
    """λ₁ trades hidden labels for success, η = 1.015 and (1.5, 5) are best; the printed form does nothing."""
    claims = Claims()
    of = rows[rows["parameter"] == "λ₁"]
    low, high = (f"{value:g}" for value in (LAM1[0], LAM1[-1]))
    claim.more(claims, of, high, low, "success", "Figure S.5a", "a larger λ₁ raises ASR")
    claim.more(claims, of, low, high, "lfr", "Figure S.5a", "a larger λ₁ lowers LFR")
    for measure in ("asr", "lfr"):
        text = f"η = 1.015 gives the highest {claim.NAMES[measure]}"
        claim.best_at(claims, text, "Figure S.5b", curve(rows, "η", measure), 1.015)
    own = rows[rows["parameter"] == "(f_in, f_de)"]
    for measure in ("success", "lfr"):
        text = f"(1.5, 5) has a higher {claim.NAMES[measure]} than (2, 3)"
        claim.more(claims, own, "(1.5, 5)", "(2, 3)", measure, "Figure S.5c", text)
    printed, ours = (attacks[attacks["method"] == name] for name in ("printed", "Levenberg-Marquardt"))
    figures = f"{100 * printed['asr'].mean():.0f} against {100 * ours['asr'].mean():.0f} % succeed"
    holds = not printed["asr"].any() and bool(ours["asr"].any())
    claims.check("as printed MADW does not attack", "our reading of Eq. S.12 to S.15", figures, holds)
    return claims
