"""Data sets by name: embedded ones that are drawn from a seed, and the real ones they stand in for."""

import difflib
from functools import cache

from companion.datasets import digits, drift, real, recipes, scenes, signs
from companion.datasets.imageset import ImageSet, stack, tensors
from companion.datasets.labels import parents

__all__ = ["SPLITS", "ImageSet", "digest", "embedded", "load", "names", "parents", "stack", "tensors"]

SPLITS = ("train", "validation", "test")
_EMBEDDED = {
    **dict.fromkeys(recipes.RECIPES, scenes.load),
    **dict.fromkeys(signs.CLASSES, signs.load),
    "digits": digits.load,
}
_REAL = dict.fromkeys(real.FOLDERS, real.load)


def names() -> list[str]:
    """Names of all data sets that `load` knows: embedded ones, then real ones."""
    return [*_EMBEDDED, *_REAL]


def load(name: str, split: str) -> ImageSet:
    """Load a data set by name.

    Embedded sets are drawn image by image when asked for; real ones are read from `companion.paths.data_root()`.

    Parameters
    ----------
    name
        One of `names()`.
    split
        "train", "validation" or "test".

    Raises
    ------
    ValueError
        The name or the split is unknown.
    FileNotFoundError, OSError
        A real data set, or a file of an installed package, is missing or damaged.
    """
    _require("data set", name, names())
    _require(f"split of {name}", split, SPLITS)
    if name in _REAL:
        return real.load(name, split)
    _check_drift(name)
    return _EMBEDDED[name](name, split)


def embedded() -> list[str]:
    """Names of the data sets that are drawn from a seed."""
    return list(_EMBEDDED)


@cache  # once per set and process
def digest(name: str) -> str:
    """SHA-256 over the first test images and all test targets of an embedded set, as 64 hexadecimal digits."""
    _require("embedded data set", name, embedded())
    return drift.digest_of(_EMBEDDED[name](name, "test"))


@cache  # one warning per set and process
def _check_drift(name: str) -> None:
    drift.warn_if_changed(name, digest(name))


def _require(kind: str, value: str, known) -> None:
    if value not in known:
        nearest = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown {kind} {value!r}: did you mean {nearest!r}? There are {', '.join(known)}")
