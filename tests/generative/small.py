"""A victim, images with labels, and a training of seconds."""

import torch
from torch import nn

from flipbook.generative import Training
from tests.affine import SmallNet

LAYER = "body.1"


class Victim(nn.Module):
    """Logits of two convolutions; LAYER gives (n, 8, 5, 6) for images of 10 x 12."""

    def __init__(self, outputs=6):
        super().__init__()
        net = SmallNet(outputs).float()
        self.body, self.head, self.gain = net.body, net.head, net.gain
        self.register_buffer("offset", self._raw(torch.full((1, 3, 8, 8), 0.5)))
        self.eval().requires_grad_(False)

    def forward(self, x):
        return 10 * (self._raw(x) - self.offset)

    def _raw(self, x):
        return self.head(self.body(self.gain * (x - 0.5)).mean(dim=(2, 3)))


def victim():
    return Victim()


def images(n=24, shape=(3, 10, 12), seed=0):
    g = torch.Generator().manual_seed(seed)
    low = torch.rand(n, shape[0], 3, 3, generator=g)
    return torch.nn.functional.interpolate(low, shape[1:], mode="bilinear")


def short(**options):
    settings = {"epochs": 2, "batch": 8, "rate": 1e-2, "width": 4, "blocks": 1, "layer": LAYER, "progress": False}
    return Training(**(settings | options))


def labels(n=24, number=6):
    """Every image has its own label and most a second one."""
    first, second = torch.arange(n) % number, torch.arange(n) * 5 // 3 % number
    return torch.nn.functional.one_hot(first, number).bool() | torch.nn.functional.one_hot(second, number).bool()
