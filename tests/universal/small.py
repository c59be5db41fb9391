"""Pools that train in milliseconds, and a short training."""

import torch

from flipbook.universal import Pool, Training
from tests.affine import Affine, SmallNet, mid_grey, random_affine

SHAPE = (3, 6, 6)


def affine_pool(images=40, outputs=6, seed=0, names=None):
    """Grey images have logits 0, so that about half of the labels are predicted on each image."""
    W = random_affine(outputs, SHAPE, seed).W
    return Pool(Affine(W, -0.5 * W.sum(dim=1)).eval(), mid_grey(images, SHAPE), names)


def net_pool(images=40, outputs=6, seed=0):
    return Pool(SmallNet(outputs, seed=seed), mid_grey(images, SHAPE))


def single_precision(pool):
    return Pool(pool.net.model.float(), pool.images.float(), pool.names)


def short(**options):
    return Training(**({"epochs": 2, "images": 8, "batch": 4, "progress": False} | options))


class Scripted(torch.nn.Module):
    """Logits by the first pixel of an image: row of a table before the attack, of another one after it.

    Image i has the value i / 100 everywhere; an attack adds 0.5.
    """

    def __init__(self, clean, attacked):
        super().__init__()
        self.register_buffer("clean", clean.double())
        self.register_buffer("attacked", attacked.double())

    def forward(self, x):
        value = x[:, 0, 0, 0]
        row = (100 * (value % 0.5)).round().long()
        logits = torch.where((value >= 0.5)[:, None], self.attacked[row], self.clean[row])
        return logits + 0 * x.sum()
