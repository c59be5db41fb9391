"""scikit-learn's handwritten digits, 8 x 8, enlarged to 28 x 28."""

from functools import cache

import numpy as np
import torch
from PIL import Image

from companion.datasets.imageset import ImageSet

SIDE, ENLARGED = 28, 20  # as in MNIST the digit fills 20 x 20 pixels in the middle


def load(name: str, split: str) -> ImageSet:
    """Embedded digit set of one split; see `split_indices` for the rule."""
    images, classes = pictures()
    chosen = split_indices(classes, split)
    return ImageSet(
        name,
        split,
        [str(digit) for digit in range(10)],
        "single-label",
        torch.from_numpy(classes[chosen]),
        images[chosen].__getitem__,
        "MNIST",
        f"{name}: scikit-learn's handwritten digits enlarged to 28 x 28, stands in for MNIST",
    )


def split_indices(classes: np.ndarray, split: str) -> np.ndarray:
    """Rows of a split, a fixed rule that treats every class alike.

    Of each ten images of a class, in the order of the file, the fourth and the ninth are test images, the seventh is
    a validation image and the others are training images.
    """
    rank = np.zeros(len(classes), dtype=np.int64)
    for digit in np.unique(classes):
        rows = np.flatnonzero(classes == digit)
        rank[rows] = np.arange(len(rows)) % 10
    part = np.full(10, "train", dtype="<U10")
    part[[3, 8]], part[6] = "test", "validation"
    return np.flatnonzero(part[rank] == split)


@cache
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """All digits as (1797, SIDE, SIDE, 1) uint8 and their classes as int64."""
    from sklearn.datasets import load_digits  # takes a second to import: only when digits are asked for

    data = load_digits()
    grey = np.rint(data.images * 255 / 16).astype(np.uint8)
    pictures, border = np.zeros((len(grey), SIDE, SIDE, 1), dtype=np.uint8), (SIDE - ENLARGED) // 2
    for picture, digit in zip(pictures, grey, strict=True):
        large = Image.fromarray(digit).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC)
        picture[border:-border, border:-border, 0] = np.asarray(large)
    return pictures, data.target.astype(np.int64)
