"""What an attack must reach: a set of inequalities on the logits.

A goal speaks for a batch of N images and knows two things about their logits z (N, C):

- `margins(z)` (N, M): all positive when the model's decision is the goal, one negative when it is not. A margin of
  +inf marks something that does not matter to this image. At exactly 0 the decision rule settles the tie, so that
  success is asked of `reached`, which is the decision itself.
- `constraints(z)`: the same as linear inequalities A d + b >= 0 on a change d of the logits, with A (N, M, C) and
  b (N, M). An attack that linearises the model multiplies A with the Jacobian and has its linear program or its
  quadratic one. Where the margins are linear in z (label vectors, classes) A is constant; where they depend on a
  ranking (top-k goals) A holds for the ranking at z.

Goals are immutable; `goal[index]` selects images, so that an attack can shrink its batch.
"""

from copy import copy
from dataclasses import dataclass, fields

import torch
from torch import Tensor

INF = float("inf")


class Goal:
    """Base of all goals: what follows from `margins` alone. A subclass also gives `reached` where ties occur."""

    shared: tuple[str, ...] = ()  # fields that belong to all images and are not indexed

    def margins(self, logits: Tensor) -> Tensor:
        """Signed slack (N, M) of each requirement; see the module's docstring."""
        raise TypeError(f"{type(self).__name__} does not define its margins")

    def constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Rows A (N, M, C) and offsets b (N, M): A d + b >= 0 asks a change d of the logits to reach the goal."""
        raise TypeError(f"{type(self).__name__} has no linear constraints: choose an attack that works on margins")

    def exact_constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Constraints linearised through the decision rule: differ from `constraints` for output codes only."""
        return self.constraints(logits)

    def bitwise(self) -> "Goal":
        """The goal that a loss per output works on: itself, or for an output code the target's codeword."""
        return self

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the model's decision is the goal, (N,) of bool."""
        return (self.margins(logits) > 0).all(dim=1)

    def distance(self, logits: Tensor) -> Tensor:
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

    def constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """A = diag(y), b = y z."""
        return torch.diag_embed(self.signs.to(logits)), self.margins(logits)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the predicted label vector is the target."""
        return self.distance(logits) == 0

    def distance(self, logits: Tensor) -> Tensor:
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

    def constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """A = diag(-1, +1 or 0), b the margins."""
        return torch.diag_embed(self.signs.to(logits)), self.margins(logits)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether no hidden label and every kept label is predicted."""
        return self.distance(logits) == 0

    def distance(self, logits: Tensor) -> Tensor:
        """How many labels are on the wrong side; a NaN counts as wrong where the label matters."""
        absent, present = ~(logits > 0), ~(logits <= 0)  # both hold for NaN
        return ((present & self.hidden) | (absent & self.kept)).sum(dim=1)

    def check(self, logits: Tensor) -> None:
        """Refuse masks of another width than the model's labels."""
        same_width(self.hidden, logits, "HideLabels: hidden")


@dataclass(frozen=True, eq=False)
class ClassTarget(Goal):
    """One class wins: the largest logit, or through a codebook the codeword that agrees best (JMA, Eq. 2).

    Parameters
    ----------
    target : Tensor (N,) of int64
        Class indices.
    codebook : Tensor (classes, n) of -1 and +1, optional
        One codeword a class. The decision is argmax_i tanh(z) . c_i. JMA's constraints use z . c_i instead (its
        section V-A); both agree on saturated outputs, and `exact_constraints` has the decision's own.
    """

    target: Tensor
    codebook: Tensor | None = None
    shared = ("codebook",)

    def __post_init__(self):
        if not isinstance(self.target, Tensor):
            raise ValueError(f"ClassTarget: target is a {type(self.target).__name__}: give a tensor of int64")
        if self.target.ndim != 1 or self.target.is_floating_point() or self.target.dtype == torch.bool:
            raise ValueError(
                f"ClassTarget: target has shape {tuple(self.target.shape)} and type {self.target.dtype}: "
                "give one class index an image, (N,) of int64"
            )
        if self.codebook is not None and not (self.codebook.abs() == 1).all():
            raise ValueError("ClassTarget: codebook has entries other than -1 and +1: codewords must have equal norms")
        classes = None if self.codebook is None else len(self.codebook)
        if len(self.target) and (self.target.min() < 0 or (classes and self.target.max() >= classes)):
            top = "" if classes is None else f"..{classes - 1}"
            raise ValueError(f"ClassTarget: target holds a class outside 0{top}")

    def margins(self, logits: Tensor) -> Tensor:
        """Lead of the target over every other class, (N, classes - 1), in the decision's own scores."""
        scores = logits if self.codebook is None else logits.tanh() @ self.codebook.to(logits).T
        own = scores.gather(1, self.target[:, None])
        return own - scores.gather(1, self._others(scores.shape[1]))

    def constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """A = c_t - c_i for every other class i (JMA, Eq. 10 with the opposite sign), b = A z."""
        codebook = torch.eye(logits.shape[1]).to(logits) if self.codebook is None else self.codebook.to(logits)
        a = codebook[self.target][:, None, :] - codebook[self._others(len(codebook))]
        return a, (a @ logits[:, :, None]).squeeze(2)

    def exact_constraints(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """A (1 - tanh² z) and the margins: the constraints through tanh, for images where z alone misleads."""
        a, b = self.constraints(logits)
        if self.codebook is None:
            return a, b
        return a * (1 - logits.tanh() ** 2)[:, None, :], self.margins(logits)

    def bitwise(self) -> Goal:
        """The target's codeword as a label vector; without a codebook the class itself."""
        return self if self.codebook is None else LabelVector(self.codebook[self.target] > 0)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the decision is the target class."""
        scores = logits if self.codebook is None else logits.tanh() @ self.codebook.to(logits).T
        return (scores.argmax(dim=1) == self.target) & ~scores.isnan().any(dim=1)

    def check(self, logits: Tensor) -> None:
        """Refuse a codebook of another length, or a class that the model does not have."""
        if self.codebook is not None:
            same_width(self.codebook, logits, "ClassTarget: codebook")
        elif len(self.target) and self.target.max() >= logits.shape[1]:
            raise ValueError(
                f"ClassTarget: target holds class {int(self.target.max())}, the model has {logits.shape[1]} classes "
                f"(0..{logits.shape[1] - 1})"
            )

    def _others(self, classes: int) -> Tensor:
        """Indices of all classes but the target, (N, classes - 1)."""
        i = torch.arange(classes - 1, device=self.target.device)
        return i + (i >= self.target[:, None]).long()


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
