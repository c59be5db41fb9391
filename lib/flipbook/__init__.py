"""Flipbook: batched multi-label adversarial attacks, and a reproducible companion to five papers."""

__version__ = "0.1.0"
