"""Flipbook: batched adversarial attacks on multi-label and multi-class image classifiers."""

__version__ = "0.1.0"
