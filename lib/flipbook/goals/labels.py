"""Goals on which labels are predicted, each label on its side of the threshold 0 of its logit."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.goals.constraints import INF, Constraints
from flipbook.goals.goal import Goal, as_mask, same_width


@dataclass(frozen=True, eq=False)
class LabelVector(Goal):
    """Every label on the wanted side: present where the target is 1, absent where it is 0 (JMA, section V-B).

    Parameters
    ----------
    target : Tensor (N, C) of 0 and 1
        The decision is `logit > 0`, that is sigmoid above 0.5.
    """

    target: Tensor

    def __post_init__(self):
        target = as_mask(self.target, "LabelVector: target")
        object.__setattr__(self, "target", target)

    @property
    def signs(self) -> Tensor:
        """The target as y in {-1, +1}, (N, C)."""
        return self.target.to(torch.get_default_dtype()) * 2 - 1

    def margins(self, logits: Tensor) -> Tensor:
        """y_j z_j of every label, (N, C)."""
        return self.signs.to(logits) * logits

    def constraints(self, logits: Tensor) -> Constraints:
        """A = diag(y), b = y z."""
        return Constraints.one_label_each(self.signs.to(logits), self.margins(logits))

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the predicted label vector is the target."""
        return self.violations(logits) == 0

    def violations(self, logits: Tensor) -> Tensor:
        """Hamming distance between the predicted and the wanted label vector; a NaN counts as wrong."""
        return (((logits > 0) != self.target) | logits.isnan()).sum(dim=1)

    def check(self, logits: Tensor) -> None:
        """Refuse a target of another length than the model's labels."""
        same_width(self.target, logits, "LabelVector: target")


@dataclass(frozen=True, eq=False)
class HideLabels(Goal):
    """Some labels switched off and others left on; the rest is free.

    To keep *everything* else as it is, absent labels too, use `LabelVector`.

    Parameters
    ----------
    hidden : Tensor (N, C) of bool
        Labels that must be absent.
    kept : Tensor (N, C) of bool, optional
        Labels that must be present.
    """

    hidden: Tensor
    kept: Tensor | None = None

    def __post_init__(self):
        hidden = as_mask(self.hidden, "HideLabels: hidden")
        kept = torch.zeros_like(hidden) if self.kept is None else as_mask(self.kept, "HideLabels: kept")
        if kept.shape != hidden.shape:
            raise ValueError(
                f"HideLabels: kept has shape {tuple(kept.shape)}, hidden {tuple(hidden.shape)}: make them equal"
            )
        if (kept & hidden).any():
            raise ValueError("HideLabels: a label is both hidden and kept: take it out of one of the masks")
        object.__setattr__(self, "hidden", hidden)
        object.__setattr__(self, "kept", kept)

    @property
    def signs(self) -> Tensor:
        """-1 where hidden, +1 where kept, 0 where free, (N, C)."""
        return self.kept.to(torch.get_default_dtype()) - self.hidden.to(torch.get_default_dtype())

    def margins(self, logits: Tensor) -> Tensor:
        """-z_j of hidden labels, z_j of kept ones, +inf of free ones, (N, C)."""
        signs = self.signs.to(logits)
        return torch.where(signs == 0, INF, signs * logits)

    def constraints(self, logits: Tensor) -> Constraints:
        """A = diag(-1, +1 or 0), b the margins."""
        return Constraints.one_label_each(self.signs.to(logits), self.margins(logits))

    def reached(self, logits: Tensor) -> Tensor:
        """Whether no hidden label and every kept label is predicted."""
        return self.violations(logits) == 0

    def violations(self, logits: Tensor) -> Tensor:
        """How many labels are on the wrong side; a NaN counts as wrong where the label matters."""
        absent, present = ~(logits > 0), ~(logits <= 0)  # both hold for NaN
        return ((present & self.hidden) | (absent & self.kept)).sum(dim=1)

    def check(self, logits: Tensor) -> None:
        """Refuse masks of another width than the model's labels."""
        same_width(self.hidden, logits, "HideLabels: hidden")
