"""Notices when a change of font, imaging library or packaged photograph changes the drawn images."""

import hashlib
import json
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path

from companion.datasets.imageset import ImageSet

FIRST = 32  # images that a digest covers: enough to show most photographs


def digest_of(ds: ImageSet) -> str:
    """SHA-256 of the pixels of the first images and of all targets, as 64 hexadecimal digits."""
    total = hashlib.sha256(ds.targets.numpy().tobytes())
    for index in range(FIRST):
        total.update(ds.pixels(index).numpy().tobytes())
    return total.hexdigest()


@cache
def expected() -> dict[str, str]:
    """Digests of the test splits as the shipped victims saw them."""
    return json.loads(Path(__file__).with_name("digests.json").read_text(encoding="utf-8"))


def warn_if_changed(name: str, digest: str) -> None:
    """Warn in one line when the test images of an embedded set are not those that the shipped victims saw."""
    if digest != expected()[name]:
        found = ", ".join(
            f"{package} {version(package)}" for package in ("pillow", "matplotlib", "scikit-image", "scikit-learn")
        )
        warnings.warn(
            f"{name}: the drawn images differ from those that the shipped victims and results were made with "
            f"({found}): install the pins of environment.yml to get the same pixels",
            stacklevel=4,
        )
