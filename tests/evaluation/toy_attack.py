"""A model and an attack small enough to know by heart, for tests of what surrounds them."""

import torch
from torch import nn

from flipbook.core.attack_result import AttackResult


class Affine(nn.Module):
    """z = W x + c with fixed W, on (N, 1, 2, 2) images."""

    def __init__(self, labels=3):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.layer = nn.Linear(4, labels).requires_grad_(False)
        self.layer.weight.copy_(torch.randn(labels, 4, generator=generator))
        self.layer.bias.copy_(torch.randn(labels, generator=generator) / 10)

    def forward(self, x):
        return self.layer(x.flatten(1))


CALLS: list[int] = []  # batch size of every call of `nudge`


def nudge(model, images, goal, step=0.1, limit=1000, offset=None):
    """Add `step` to every pixel; refuse batches above `limit` as a full GPU would; record every call."""
    if len(images) > limit:
        raise torch.cuda.OutOfMemoryError("toy memory is full")
    CALLS.append(len(images))
    shift = step if offset is None else step + offset.view(-1, 1, 1, 1)
    attacked = (images + shift).clamp(0, 1)
    n = torch.ones(len(images), dtype=torch.int64)
    return AttackResult(attacked, goal.reached(model(attacked)), n, 2 * n, n, -n)


def traced(model, images, goal):
    """Change nothing and record each image's brightness over three steps."""
    level = images.flatten(1).mean(dim=1)
    result = nudge(model, images, goal, step=0.0)
    result.trace["level"] = torch.stack([level, 2 * level, 3 * level], dim=1)
    return result
