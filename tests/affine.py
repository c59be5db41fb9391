"""Models whose answers are known in closed form."""

import torch
from torch import nn


class Affine(nn.Module):
    """Logits W x + b of flattened images, in float64."""

    def __init__(self, W, b=None):
        super().__init__()
        self.register_buffer("W", W.double())
        self.register_buffer("b", torch.zeros(len(W)).double() if b is None else b.double())

    def forward(self, x):
        return x.flatten(1) @ self.W.T + self.b


def random_affine(outputs=6, shape=(3, 6, 6), seed=0, scale=1.0):
    """An affine model with random rows and small offsets, in eval mode."""
    g = torch.Generator().manual_seed(seed)
    m = shape[0] * shape[1] * shape[2]
    W = torch.randn(outputs, m, generator=g, dtype=torch.float64) * scale / m**0.5
    return Affine(W, torch.randn(outputs, generator=g, dtype=torch.float64) * 0.1).eval()


def mid_grey(n, shape=(3, 6, 6), seed=1):
    """Images near 0.5, far from the box, in float64."""
    g = torch.Generator().manual_seed(seed)
    return 0.5 + 0.05 * torch.randn(n, *shape, generator=g, dtype=torch.float64)


class SmallNet(nn.Module):
    """A small smooth convolutional network in float64, where first-order steps do not suffice.

    Grey images have logits near 0, so that labels differ between images and every one can be flipped.
    """

    def __init__(self, outputs=6, channels=3, seed=0, gain=4.0):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, stride=2, padding=1),
            nn.Softplus(beta=20),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.Tanh(),
        )
        self.head = nn.Linear(16, outputs)
        self.gain = gain
        self.double().eval().requires_grad_(False)

    def forward(self, x):
        return 10 * (self._raw(x) - self._raw(torch.full_like(x[:1], 0.5)))

    def _raw(self, x):
        return self.head(self.body(self.gain * (x - 0.5)).mean(dim=(2, 3)))
