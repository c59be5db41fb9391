"""The search for a loss's weight, image by image: grow it until a run succeeds, bisect from then on."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.core.best_so_far import PerImage


@dataclass
class WeightSearch(PerImage):
    """Where each image stands, every field (n,)."""

    weight: Tensor  # of the next run
    low: Tensor  # largest weight that failed
    high: Tensor  # smallest weight that succeeded

    @classmethod
    def start(cls, weight: Tensor) -> "WeightSearch":
        return cls(weight, torch.zeros_like(weight), torch.full_like(weight, math.inf))

    def advance(self, success: Tensor, growth: float) -> None:
        """Take in which runs succeeded (n,); a weight that never did is multiplied by `growth`."""
        self.high = torch.where(success, torch.minimum(self.high, self.weight), self.high)
        self.low = torch.where(success, self.low, torch.maximum(self.low, self.weight))
        self.weight = torch.where(self.high.isinf(), growth * self.weight, (self.low + self.high) / 2)
