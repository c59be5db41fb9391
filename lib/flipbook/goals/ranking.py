"""Goals on the ranking of the labels: which of them are among the k with the largest logits.

The ranking settles ties by the smaller index, one rule for all (`top_k`). A goal asks for strict inequalities, so that
a tie, which rounding may turn either way, never counts as a success.
"""

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from flipbook.goals.constraints import INF, Constraints
from flipbook.goals.goal import Goal, as_mask, same_width
from flipbook.goals.labels import HideLabels

SCORES = ("logit", "probability")


def top_k(logits: Tensor, k: int) -> Tensor:
    """Mark the k labels with the largest logits, (N, C) of bool; of equal ones those with the smaller index.

    Raises
    ------
    ValueError
        For a k outside 1..C.
    """
    _check_k("top_k", k, logits.shape[1], "the number of labels")
    order = logits.argsort(dim=1, descending=True, stable=True)
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, order[:, :k], True)


def _check_k(name: str, k: int, largest: int, why: str) -> None:
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= largest:
        raise ValueError(f"{name}: k is {k!r}: it must be a whole number in 1..{largest}, {why}")


class _TopK(Goal):
    """What both goals share: requirements on the ranking first, on sides of the threshold behind them.

    A subclass gives `_leads`, pairs of labels of which the first must be above the second.
    """

    def margins(self, logits: Tensor) -> Tensor:
        """By how much every requirement is met, (N, C) or with sides of the threshold (N, 2 C); see the class."""
        scores = self._scores(logits)
        upper, lower, counts = self._leads(logits)
        ranking = torch.where(counts, scores.gather(1, upper) - scores.gather(1, lower), INF)
        if (sides := self._sides()) is None:
            return ranking
        sides = sides.to(scores)
        return torch.cat([ranking, torch.where(sides == 0, INF, sides * (scores - self._threshold))], dim=1)

    def constraints(self, logits: Tensor) -> Constraints:
        """Rows e_i - e_j for the ranking at `logits`, ± e_j for sides (times σ' for probabilities); b the margins."""
        upper, lower, _ = self._leads(logits)
        margins, width = self.margins(logits), logits.shape[1]
        rows = Constraints.leads(upper, lower, margins[:, :width])
        if (sides := self._sides()) is not None:
            rows = rows.followed_by(Constraints.one_label_each(sides.to(logits), margins[:, width:]))
        if self.scores == "probability":
            return rows.times(logits.sigmoid() * (-logits).sigmoid())
        return rows

    def reached(self, logits: Tensor) -> Tensor:
        """Whether every requirement is met strictly, (N,) of bool.

        Asked of the logits for probabilities too: those of confident labels are rounded to the same 1.
        """
        return self._reached(self._on_logits.margins(logits), logits)

    def violations(self, logits: Tensor) -> Tensor:
        """How far from the goal, as an order and not a count: 0 exactly where it is reached.

        Of two failures the one with fewer requirements on the ranking missed is nearer, then the one with fewer labels
        on the wrong side of the threshold, Y on the positive one, whether the goal asks for sides or not: else an
        attack that hides Y but leaves the ranking as it is would seem to have done nothing. Nothing is further away
        than a NaN.
        """
        width, margins = logits.shape[1], self._on_logits.margins(logits)
        furthest = (width + 1) ** 2
        ranking = (margins[:, :width] <= 0).sum(dim=1)
        sides = -self.present.to(torch.int8) if (asked := self._sides()) is None else asked
        wrong = ((sides * logits <= 0) & (sides != 0)).sum(dim=1)
        violations = (ranking * (width + 1) + wrong).clamp(min=1)
        violations = violations.masked_fill(logits.isnan().any(dim=1), furthest)
        return violations.masked_fill(self._reached(margins, logits), 0)

    @staticmethod
    def _reached(margins: Tensor, logits: Tensor) -> Tensor:
        return (margins > 0).all(dim=1) & ~logits.isnan().any(dim=1)

    @property
    def _on_logits(self) -> "_TopK":
        return self if self.scores == "logit" else self._with({"scores": "logit"})

    def per_label(self) -> Goal:
        """What a loss per label works on: Y absent, targets present, the rest free."""
        return HideLabels(self.present & ~self._wanted(), self._wanted())

    @property
    def ranking(self) -> "_TopK":
        """The goal without its requirements on the threshold: what counts as complete success (ASR)."""
        return self._with({"hide": False, "keep": None, "scores": "logit"})

    def measures(self, before: Tensor, after: Tensor) -> dict[str, Tensor]:
        """Success of the attack on one image by the MASW paper's measures, each (N,) and better when larger.

        asr (Eq. 25 as its text and tables mean it: complete success), sasr (Eq. 26, from Eq. 5 or S.1), lfr (Eq. 28,
        the share of Y on the negative side), sac (Eq. S.5, the share of the irrelevant labels that keep their side).
        A label at exactly 0.5 is still predicted (Eq. 6). An image without irrelevant labels keeps them all, 1, and so
        does one without Y lose them all.
        """
        own = self.present.sum(dim=1)
        off = torch.where(own > 0, (self.present & (after < 0)).sum(dim=1).double() / own.clamp(min=1), 1.0)
        irrelevant = ~(self.present | self._wanted())
        kept = (irrelevant & ((before >= 0) == (after >= 0))).sum(dim=1).double()
        number = irrelevant.sum(dim=1)
        return {
            "asr": self.ranking.reached(after),
            "sasr": self._soft(after),
            "lfr": off,
            "sac": torch.where(number > 0, kept / number.clamp(min=1), 1.0),
        }

    def check(self, logits: Tensor) -> None:
        """Refuse masks of another width than the model's labels."""
        same_width(self.present, logits, f"{type(self).__name__}: present")

    def _scores(self, logits: Tensor) -> Tensor:
        return logits if self.scores == "logit" else logits.sigmoid()

    @property
    def _threshold(self) -> float:
        return 0.0 if self.scores == "logit" else 0.5

    def _sides(self) -> Tensor | None:
        """Wanted sides of the threshold, (N, C) of -1, 0 and 1, or None where no label has any."""
        if not self.hide:
            return self.keep
        hidden = -self.present.to(torch.int8)
        return hidden if self.keep is None else torch.where(self.present, hidden, self.keep)

    def _check_masks(self, *names: str) -> None:
        """Turn these masks to bool, and refuse what does not fit together."""
        title = type(self).__name__
        if self.scores not in SCORES:
            raise ValueError(f"{title}: scores is {self.scores!r}: choose one of {', '.join(map(repr, SCORES))}")
        for name in names:
            object.__setattr__(self, name, as_mask(getattr(self, name), f"{title}: {name}"))
        if names and (empty := (~self.present.any(dim=1)).nonzero().flatten()).numel():
            raise ValueError(f"{title}: image {int(empty[0])} has no label in `present`: leave such images out")
        if self.keep is not None and not self._are_sides(self.keep):
            raise ValueError(f"{title}: keep must be {tuple(self.present.shape)} of -1, 0 and 1, the sides to keep")

    def _are_sides(self, keep: Tensor) -> bool:
        if not isinstance(keep, Tensor) or keep.dtype == torch.bool or keep.shape != self.present.shape:
            return False
        return bool(((keep.abs() == 1) | (keep == 0)).all())


@dataclass(frozen=True, eq=False)
class TopKExcludes(_TopK):
    """None of an image's labels among the k with the largest logits: the untargeted top-k attack (MASW, Eq. 7-9).

    With r the k-th largest logit among labels outside Y, the margins are r - z_j for j in Y and +inf elsewhere.

    Parameters
    ----------
    present : Tensor (N, C) of 0 and 1
        Y, the labels that the image truly has.
    k : int
        In 1..C - 1. Every image must have k labels outside Y.
    hide : bool
        Ask also that every label of Y is on the negative side: margins -z_j behind the others.
    keep : Tensor (N, C) of -1, 0 and 1, optional
        Sides of the threshold that labels are to keep (the paper's AC version, Eq. S.4); 0 where free.
    scores : {"logit", "probability"}
        What margins compare. As printed, probabilities; their gradients vanish for confident labels, so that the
        published step moves nothing. Which labels come first is the same.
    """

    present: Tensor
    k: int
    hide: bool = False
    keep: Tensor | None = None
    scores: str = "logit"
    shared = ("k", "hide", "scores")

    def __post_init__(self):
        self._check_masks("present")
        _check_k("TopKExcludes", self.k, self.present.shape[1] - 1, "below the number of labels")
        if (short := ((~self.present).sum(dim=1) < self.k).nonzero().flatten()).numel():
            own, width = int(self.present[short[0]].sum()), self.present.shape[1]
            raise ValueError(
                f"TopKExcludes: image {int(short[0])} has {own} of {width} labels, which leaves no {self.k} others: "
                "leave it out or take a smaller k"
            )

    def _leads(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        others = logits.masked_fill(self.present, -INF).argsort(dim=1, descending=True, stable=True)
        lower = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        return others[:, self.k - 1 : self.k].expand_as(lower), lower, self.present

    def _wanted(self) -> Tensor:
        return torch.zeros_like(self.present)

    def _soft(self, logits: Tensor) -> Tensor:
        inside = (top_k(logits, self.k) & self.present).sum(dim=1).double()
        return 1 - inside / self.present.sum(dim=1).clamp(max=self.k)


@dataclass(frozen=True, eq=False)
class TopKEquals(_TopK):
    """The k labels with the largest logits are the k chosen ones: the targeted top-k attack (MASW, Eq. 12 and 13).

    Margins: of a target its lead over the best other label, of another label its distance below the worst target.

    Parameters
    ----------
    target : Tensor (N, C) of 0 and 1
        Y_t, k labels an image, the same k for all.
    k : int, optional
        How many labels a target has, in 1..C - 1; by default it is counted.
    present : Tensor (N, C) of 0 and 1, optional
        Y, the labels that the image truly has; what `hide` is about and what LFR counts. None by default.
    hide, keep, scores
        As for `TopKExcludes`; a target that is in Y is not hidden.
    """

    target: Tensor
    k: int | None = None
    present: Tensor | None = None
    hide: bool = False
    keep: Tensor | None = None
    scores: str = "logit"
    shared = ("k", "hide", "scores")

    def __post_init__(self):
        object.__setattr__(self, "target", as_mask(self.target, "TopKEquals: target"))
        if self.present is None:
            if self.hide:
                raise ValueError("TopKEquals: hide asks for the labels in `present` to be off: give present too")
            object.__setattr__(self, "present", torch.zeros_like(self.target))
            self._check_masks()
        else:
            self._check_masks("present")
        if self.target.shape != self.present.shape:
            raise ValueError(
                f"TopKEquals: target has shape {tuple(self.target.shape)}, present {tuple(self.present.shape)}: "
                "make them equal"
            )
        sizes = self.target.sum(dim=1)
        if self.k is None:
            object.__setattr__(self, "k", int(sizes[0]) if len(sizes) else 1)
        _check_k("TopKEquals", self.k, self.target.shape[1] - 1, "below the number of labels")
        if (wrong := (sizes != self.k).nonzero().flatten()).numel():
            number = int(sizes[wrong[0]])
            raise ValueError(f"TopKEquals: image {int(wrong[0])} has {number} target labels, k is {self.k}: make it k")

    def _leads(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        worst = logits.masked_fill(~self.target, INF).argmin(dim=1, keepdim=True)
        best = logits.masked_fill(self.target, -INF).argmax(dim=1, keepdim=True)
        return torch.where(self.target, own, worst), torch.where(self.target, best, own), self.target | True

    def _sides(self) -> Tensor | None:
        sides = super()._sides()
        return sides if sides is None else torch.where(self.target & (sides < 0), 0, sides)

    def _wanted(self) -> Tensor:
        return self.target

    def _soft(self, logits: Tensor) -> Tensor:
        return (top_k(logits, self.k) & self.target).sum(dim=1).double() / self.k


def check_top_k(name: str, goal: Goal) -> None:
    """Refuse a goal that is not about a ranking, for the attack of this name."""
    if not isinstance(goal, _TopK):
        raise ValueError(f"{name} works on TopKExcludes and TopKEquals, not on {type(goal).__name__}: give one of them")
