"""What an attack must reach: a set of inequalities on the logits.

A goal speaks for a batch of N images and knows two things about their logits z (N, C):

- `margins(z)` (N, M): all positive when the model's decision is the goal, one negative when it is not. A margin of
  +inf marks something that does not matter to this image. At exactly 0 the decision rule settles the tie, so that
  success is asked of `reached`, which is the decision itself.
- `constraints(z)`: the same as linear inequalities A d + b >= 0 on a change d of the logits. A row of A reads one
  label, or two, or for output codes all of them, and is kept as just that: see `Constraints`. An attack that
  linearises the model multiplies the rows it works on with the Jacobian and has its linear program or its quadratic
  one. Where the margins are linear in z (label vectors, classes) A is constant; where they depend on a ranking (top-k
  goals) A holds for the ranking at z.

Goals are immutable; `goal[index]` selects images, so that an attack can shrink its batch.
"""

from copy import copy
from dataclasses import fields

import torch
from torch import Tensor

from flipbook.goals.constraints import Constraints


class Goal:
    """Base of all goals: what follows from `margins` alone. A subclass also gives `reached` where ties occur."""

    shared: tuple[str, ...] = ()  # fields that belong to all images and are not indexed

    def margins(self, logits: Tensor) -> Tensor:
        """Signed slack (N, M) of each requirement; see the module's docstring."""
        raise TypeError(f"{type(self).__name__} does not define its margins")

    def constraints(self, logits: Tensor) -> Constraints:
        """A d + b >= 0, which asks a change d of the logits to reach the goal.

        Which rows exist must not depend on the logits.
        """
        raise TypeError(f"{type(self).__name__} has no linear constraints: choose an attack that works on margins")

    def exact_constraints(self, logits: Tensor) -> Constraints:
        """Constraints linearised through the decision rule: differ from `constraints` for output codes only."""
        return self.constraints(logits)

    def per_label(self) -> "Goal":
        """The goal that a loss per output works on: itself, or for an output code the target's codeword."""
        return self

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the model's decision is the goal, (N,) of bool."""
        return (self.margins(logits) > 0).all(dim=1)

    def violations(self, logits: Tensor) -> Tensor:
        """How many requirements are not met, (N,) of int64: 0 exactly where the goal is reached."""
        missed = (~(self.margins(logits) > 0)).sum(dim=1).clamp(min=1)  # so that a NaN counts as missed
        return torch.where(self.reached(logits), torch.zeros_like(missed), missed)

    def measures(self, before: Tensor, after: Tensor) -> dict[str, Tensor]:
        """What else counts with this goal, one number (N,) each, from the logits of clean and attacked images."""
        return {}

    def check(self, logits: Tensor) -> None:
        """Refuse logits whose width does not fit this goal."""

    @property
    def device(self) -> torch.device:
        """Where the goal's tensors are."""
        return getattr(self, self._per_image()[0]).device

    def __and__(self, other: "Goal") -> "Goal":
        from flipbook.goals.all_of import AllOf  # which is a goal itself

        return AllOf.of(self, other)

    def __len__(self) -> int:
        return len(getattr(self, self._per_image()[0]))

    def __getitem__(self, index) -> "Goal":
        return self._with({name: getattr(self, name)[index] for name in self._per_image()})

    def to(self, device) -> "Goal":
        """Move every tensor to a device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return self._with({k: v.to(device) for k, v in tensors.items() if isinstance(v, Tensor)})

    def _with(self, changed: dict[str, Tensor]) -> "Goal":
        """Copy without checking again: what was checked once stays right, and a check would wait for the device."""
        other = copy(self)
        for name, value in changed.items():
            object.__setattr__(other, name, value)
        return other

    def _per_image(self) -> list[str]:
        return [f.name for f in fields(self) if f.name not in self.shared and getattr(self, f.name) is not None]


def as_mask(tensor: Tensor, name: str) -> Tensor:
    """Return (N, C) of 0 and 1 as bool; refuse anything else, under this name."""
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name} is a {type(tensor).__name__}: give a tensor, one row an image, (N, C)")
    if tensor.ndim != 2:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}: give one row an image, (N, C)")
    if tensor.dtype != torch.bool and not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(f"{name} has entries other than 0 and 1: use 1 for present and 0 for absent")
    return tensor.bool()


def same_width(tensor: Tensor, logits: Tensor, name: str) -> None:
    """Refuse a tensor with another number of columns than the logits, under this name."""
    if tensor.shape[1] != logits.shape[1]:
        raise ValueError(
            f"{name} has {tensor.shape[1]} columns, the model gives {logits.shape[1]} logits: make them equal"
        )
