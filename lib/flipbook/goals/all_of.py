"""Several goals at once."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from flipbook.goals.constraints import Constraints
from flipbook.goals.goal import Goal
from flipbook.goals.labels import HideLabels, LabelVector


@dataclass(frozen=True, eq=False)
class AllOf(Goal):
    """Several goals at once, written `a & b`: their requirements stand side by side.

    Parameters
    ----------
    goals : tuple of Goal
        For the same images.
    """

    goals: tuple[Goal, ...]

    @classmethod
    def of(cls, *goals: Goal) -> "AllOf":
        """Combine goals, of which some may be combinations themselves."""
        return cls(tuple(part for each in goals for part in (each.goals if isinstance(each, AllOf) else (each,))))

    def __post_init__(self):
        if wrong := [each for each in self.goals if not isinstance(each, Goal)]:
            raise ValueError(f"AllOf: {type(wrong[0]).__name__} is no goal: combine goals with &")
        if len({len(each) for each in self.goals}) != 1:
            numbers = ", ".join(str(len(each)) for each in self.goals)
            raise ValueError(f"AllOf: the goals speak of {numbers} images: make them equal")
        if len({each.device for each in self.goals}) != 1:
            raise ValueError("AllOf: the goals are on different devices: use goal.to(device)")

    def margins(self, logits: Tensor) -> Tensor:
        """The goals' margins one after the other, (N, M1 + M2 + ...)."""
        return torch.cat([each.margins(logits) for each in self.goals], dim=1)

    def constraints(self, logits: Tensor) -> Constraints:
        """The goals' rows one after the other."""
        return reduce(Constraints.followed_by, (each.constraints(logits) for each in self.goals))

    def exact_constraints(self, logits: Tensor) -> Constraints:
        """The goals' rows through their decision rules, one after the other."""
        return reduce(Constraints.followed_by, (each.exact_constraints(logits) for each in self.goals))

    def per_label(self) -> Goal:
        """What the goals ask of single labels, together.

        Raises
        ------
        ValueError
            Where one goal wants a label on and another wants it off.
        """
        parts = tuple(each.per_label() for each in self.goals)
        if not all(isinstance(each, LabelVector | HideLabels) for each in parts):
            return AllOf(parts)
        signs = torch.stack([each.signs for each in parts])
        return HideLabels((signs < 0).any(dim=0), (signs > 0).any(dim=0))

    def reached(self, logits: Tensor) -> Tensor:
        """Whether every goal is reached."""
        return torch.stack([each.reached(logits) for each in self.goals]).all(dim=0)

    def violations(self, logits: Tensor) -> Tensor:
        """The sum of the goals' distances."""
        return torch.stack([each.violations(logits) for each in self.goals]).sum(dim=0)

    def measures(self, before: Tensor, after: Tensor) -> dict[str, Tensor]:
        """What the goals measure; of two that measure the same, the first counts."""
        return reduce(lambda a, b: b | a, (each.measures(before, after) for each in self.goals))

    def check(self, logits: Tensor) -> None:
        """Refuse logits whose width does not fit all goals."""
        for each in self.goals:
            each.check(logits)

    @property
    def device(self) -> torch.device:
        """Where the goals' tensors are."""
        return self.goals[0].device

    def to(self, device) -> "AllOf":
        """Move every goal to a device."""
        return self._with({"goals": tuple(each.to(device) for each in self.goals)})

    def __len__(self) -> int:
        return len(self.goals[0])

    def __getitem__(self, index) -> "AllOf":
        return self._with({"goals": tuple(each[index] for each in self.goals)})
