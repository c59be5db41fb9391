"""What a paper claims, whether it holds here, and the figures behind the verdict."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape

VERDICTS = {True: "holds", False: "does not hold", None: "no verdict"}
COLOURS = {True: "#2da44e", False: "#e5534b", None: "#8b949e"}  # readable on light and dark pages


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper and its verdict.

    Attributes
    ----------
    text : str
        The claim in our words.
    place : str
        Where the paper makes it, e.g. "Table VI".
    ours : str
        Our figures, e.g. "1.00 against 0.66".
    holds : bool or None
        None means that this run cannot tell.
    reason : str
        Why there is no verdict; without figures that differ from machine to machine.
    """

    text: str
    place: str
    ours: str
    holds: bool | None
    reason: str = ""


class Claims:
    """Collects the claims of one artefact: `check` each, `print(claims.verdicts())`, show `claims`."""

    def __init__(self):
        self._claims: list[Claim] = []

    def check(self, text: str, place: str, ours: str, holds, reason: str = "") -> Claim:
        """Add a claim.

        Parameters
        ----------
        text, place, ours, reason : str
            See `Claim`.
        holds : bool or None
            The verdict; numpy's and torch's booleans are fine.

        Raises
        ------
        ValueError
            When there is no verdict and no reason for it, or the claim was made before.
        """
        if holds is None and not reason:
            raise ValueError(f"claim {text!r}: no verdict needs a reason; say what is missing")
        if any(claim.text == text and claim.place == place for claim in self._claims):
            raise ValueError(f"claim {text!r} ({place}) is there already; word each claim once")
        claim = Claim(text, place, str(ours), None if holds is None else bool(holds), reason)
        self._claims.append(claim)
        return claim

    def verdicts(self) -> str:
        """Return one line per claim without our figures, which differ from machine to machine in their last digits."""
        width = max(map(len, VERDICTS.values()))
        return "\n".join(
            f"{VERDICTS[claim.holds]:<{width}}  {claim.text} ({claim.place})"
            + (f": {claim.reason}" if claim.holds is None else "")
            for claim in self
        )

    def as_records(self) -> list[dict]:
        """Return the claims as dictionaries for the artefact's card."""
        return [asdict(claim) for claim in self]

    def _repr_html_(self) -> str:
        return claims_html(self)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)


def is_above(difference: float, error: float, margin: float = 0.0) -> bool | None:
    """Whether a mean difference lies above 0; no verdict within its error, or within a margin.

    Parameters
    ----------
    difference : float
    error : float
        Two standard errors of it.
    margin : float
        What another rounding, or another training, may change it by.
    """
    return None if abs(difference) <= max(margin, error) else bool(difference > 0)


def is_not_below(difference: float, error: float, slack: float) -> bool | None:
    """Whether a mean difference is short of 0 by less than `slack`, by more than its error either way."""
    if difference - error > -slack:
        return True
    return False if difference < -max(slack, error) else None


def is_between(value: float, error: float, low: float, high: float) -> bool | None:
    """Whether a mean lies in a range, by more than its error either way."""
    if value + error < low or value - error > high:
        return False
    return True if low <= value - error and value + error <= high else None


def claims_html(claims) -> str:
    """Return claims as an HTML table: verdict as a coloured word, claim with its place, our figures."""
    rows = "".join(
        f'<tr><td style="color: {COLOURS[claim.holds]}; font-weight: 600; white-space: nowrap; text-align: left">'
        f"{_sign(claim.holds)} {VERDICTS[claim.holds]}</td>"
        f'<td style="text-align: left">{escape(claim.text)} <small>({escape(claim.place)})</small></td>'
        f'<td style="text-align: left">{escape(" – ".join(filter(None, (claim.ours, claim.reason))))}</td></tr>'
        for claim in claims
    )
    head = "".join(f'<th style="text-align: left">{name}</th>' for name in ("verdict", "claim", "our figures"))
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>' if rows else ""


def _sign(holds: bool | None) -> str:
    return {True: "✓", False: "✗", None: "?"}[holds]
