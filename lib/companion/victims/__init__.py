"""Victims by name: small networks trained here, whose weights ship with the project, and the papers' own.

model = victims.load("pictograms20-resnet")     # images (N, 3, 64, 64) in [0, 1] -> logits (N, 20)
"""

from .loading import codebook, describe, load, names
from .paper import build
from .registering import register
from .training import train

__all__ = ["build", "codebook", "describe", "load", "names", "register", "train"]
