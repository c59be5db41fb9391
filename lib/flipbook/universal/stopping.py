"""When the search for one perturbation for many images ends, and which of those that it went through is kept.

A rule sees the measures on the training images, evaluation after evaluation: `better(measures)` says whether this
perturbation is the best so far (an equal one is not), and `done` whether to stop. `name` is for the record.
"""

from collections.abc import Sequence
from math import inf

from flipbook.core.validation import check_counts


class Patience:
    """Early stopping on SASR and LFR (MASW, Algorithm 2, lines 6-11).

    The search ends when neither has risen above its own best value for more than `patience` evaluations. The best
    perturbation has the largest SASR + LFR, since Eq. 7 prefers neither of the two.

    Parameters
    ----------
    patience : int
        E, in evaluations.

    Notes
    -----
    Deviations from Algorithm 2, which never ends once a measure is saturated and returns the last perturbation: a value
    equal to the best counts as no improvement, and the best perturbation is kept.
    """

    name = "patience"

    def __init__(self, patience: int = 40):
        check_counts(patience=patience)
        self.patience = patience
        self._best, self._since, self._largest = {"sasr": -inf, "lfr": -inf}, {"sasr": 0, "lfr": 0}, -inf

    def better(self, measures: dict[str, float]) -> bool:
        """Take in the next evaluation."""
        for name, best in self._best.items():
            self._since[name] = 0 if measures[name] > best else self._since[name] + 1
            self._best[name] = max(best, measures[name])
        total = measures["sasr"] + measures["lfr"]
        found, self._largest = total > self._largest, max(self._largest, total)
        return found

    @property
    def done(self) -> bool:
        """Whether both measures have waited for longer than E evaluations."""
        return min(self._since.values()) > self.patience


class FoolingRate:
    """Stop as soon as the share of images that are fooled completely (ASR) reaches ξ, as TkML-Uv and kUAP do.

    Parameters
    ----------
    wanted : float
        ξ, in (0, 1]; 0.8 and 0.7 in the published programs.

    Notes
    -----
    Where ξ is not reached, the published programs go on for ever; here the best of the perturbations is kept.
    """

    name = "fooling rate"

    def __init__(self, wanted: float = 0.8):
        if not 0 < wanted <= 1:
            raise ValueError(f"fooling_rate is {wanted}: it must be above 0 and at most 1, a share of the images")
        self.wanted, self._largest = wanted, -inf

    def better(self, measures: dict[str, float]) -> bool:
        """Take in the next evaluation."""
        found, self._largest = measures["asr"] > self._largest, max(self._largest, measures["asr"])
        return found

    @property
    def done(self) -> bool:
        """Whether the rate is reached."""
        return self._largest >= self.wanted


def chosen(rule: Patience | FoolingRate, trace: dict[str, Sequence[float]]) -> int:
    """Return the place of the evaluation whose perturbation a fresh rule would have kept from a longer search.

    Parameters
    ----------
    rule : Patience or FoolingRate
        One that has not seen anything yet.
    trace : dict of str to sequence
        `asr`, `sasr` and `lfr` of every evaluation, as in `TopKUniversal.trace`.
    """
    best = 0
    for place, values in enumerate(zip(trace["asr"], trace["sasr"], trace["lfr"], strict=True)):
        best = place if rule.better(dict(zip(("asr", "sasr", "lfr"), values, strict=True))) else best
        if rule.done:
            break
    return best
