"""What every attack returns."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass
class AttackResult:
    """The attacked images of one batch, with what each of them cost.

    Attributes
    ----------
    images : Tensor (N, channels, H, W)
        In [0, 1]. An image that reached its goal, or, where the attack failed, its closest attempt: the one with the
        fewest labels (or competing classes) on the wrong side.
    reached : Tensor (N,) of bool
        Whether the model's decision on `images` is the goal.
    iterations : Tensor (N,) of int64
        Iterations in the unit of the attack's paper; each attack's docstring names it.
    forwards, backwards : Tensor (N,) of int64
        Passes through the model made for this image.
    first_success : Tensor (N,) of int64
        Passes (forward plus backward) made when the goal was first reached; -1 where it never was.
    reached_8bit : Tensor (N,) of bool, optional
        Whether a file with 256 grey levels reaches the goal: given where the attack was asked for such images, with
        `levels=256`, whose `images` are just what the file holds.
    trace : dict of str to Tensor
        What the optimisation went through, where an attack records it: one floating tensor (N, steps) a quantity, NaN
        beyond an image's last step.
    """

    images: Tensor
    reached: Tensor
    iterations: Tensor
    forwards: Tensor
    backwards: Tensor
    first_success: Tensor
    trace: dict[str, Tensor] = field(default_factory=dict)
    reached_8bit: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of_nothing(cls, images: Tensor) -> "AttackResult":
        """The result for a batch without images, (0, channels, H, W)."""
        count = torch.zeros(0, dtype=torch.int64, device=images.device)
        return cls(images.detach().clone(), count.bool(), count, count.clone(), count.clone(), count.clone())

    @classmethod
    def join(cls, parts: list["AttackResult"]) -> "AttackResult":
        """Put the results of consecutive batches back together, in order; traces get the width of the longest."""
        columns = ("images", "reached", "iterations", "forwards", "backwards", "first_success")
        joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in columns}
        on_levels = [part.reached_8bit for part in parts]
        joined["reached_8bit"] = None if any(each is None for each in on_levels) else torch.cat(on_levels)
        return cls(**joined, trace={k: _as_wide([part.trace[k] for part in parts]) for k in parts[0].trace})


def _as_wide(rows: list[Tensor]) -> Tensor:
    """Concatenate (n, steps) of different numbers of steps, filled up with NaN."""
    width = max(each.shape[1] for each in rows)
    return torch.cat([pad(each, (0, width - each.shape[1]), value=math.nan) for each in rows])
