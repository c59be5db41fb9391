"""Thousands of images and what a victim says of them clean: kept in the store, for many notebooks look at the same."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from companion import datasets
from flipbook.storage import fingerprint, tensor_file
from flipbook.storage.cached import cached

CHUNK = 256  # images a pass


@lru_cache(maxsize=2)  # victims of one data set share them
def first_images(data: str, split: str, count: int) -> Tensor:
    """The first images of a split, so many at most: (n, channels, H, W) in [0, 1]."""
    drawn = datasets.load(data, split)
    count = min(count, len(drawn))
    seen = datasets.digest(data) if data in datasets.embedded() else ""  # fonts and imaging libraries have their say
    key = fingerprint.digest(datasets.load, data, split, count, seen)
    return _tensor(f"images/{data}-{split}-{key[:20]}", lambda: datasets.tensors(drawn, range(count))[0]).float() / 255


def clean_logits(model: torch.nn.Module, images: Tensor) -> Tensor:
    """Logits (n, C) of images, on the model's device."""
    device = next(model.parameters()).device

    def look() -> Tensor:
        parts = tqdm(images.split(CHUNK), desc="clean images", unit="batch")
        with torch.no_grad():
            return torch.cat([model(part.to(device)) for part in parts])

    key = fingerprint.digest(clean_logits, model, images, device.type)
    return _tensor(f"logits/{key[:20]}", look).to(device)


def _tensor(name: str, make: Callable[[], Tensor]) -> Tensor:
    what = name.partition("/")[0]

    def load(path: Path) -> Tensor:
        return tensor_file.read(path, what)[0][what]

    return cached(name, load, make, lambda tensor, path: tensor_file.write(path, what, {what: tensor}, {}))
