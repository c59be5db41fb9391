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
        """Begin with these weights (n,)."""
        return cls(weight, torch.zeros_like(weight), torch.full_like(weight, math.inf))

    def after(self, success: Tensor, growth: float) -> "WeightSearch":
        """Follow a run of every image, a success or not (n,); a weight that never was one is multiplied by `growth`."""
        high = torch.where(success, torch.minimum(self.high, self.weight), self.high)
        low = torch.where(success, self.low, torch.maximum(self.low, self.weight))
        return WeightSearch(torch.where(high.isinf(), growth * self.weight, (low + high) / 2), low, high)
