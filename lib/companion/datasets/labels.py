"""Label lists of the embedded sets and the hierarchies above them."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from companion.datasets.recipes import RECIPES


@cache
def catalogue() -> dict:
    """Everything in labels.json: for each set its leaves (name, character, category), parents and super-parents."""
    return json.loads(Path(__file__).with_name("labels.json").read_text(encoding="utf-8"))


def _entry(name: str) -> dict:
    """A set's part of the catalogue, empty where it has none; two sets share the list of pictograms268."""
    shared = catalogue()["pictograms268"]
    return {"crowds268": shared, "pictograms238": {"leaves": shared["leaves"]}}.get(name) or catalogue().get(name, {})


def leaves(name: str) -> list[dict]:
    """Drawn labels of a set: dicts with name, char and, where labels are grouped, category."""
    return _entry(name)["leaves"]


def all_labels(name: str) -> list[str]:
    """Names of all labels of a set in the order of its target columns: leaves, parents, super-parents."""
    entry = _entry(name)
    above = [*entry.get("parents", []), *entry.get("super_parents", [])]
    return [leaf["name"] for leaf in entry["leaves"]] + above


def is_hierarchical(name: str) -> bool:
    """Whether a set's leaves have parents that are labels too."""
    return "parents" in _entry(name)


def parents(name: str) -> dict[str, str]:
    """Parent of each label that has one, from leaves to parents and from parents to super-parents.

    Raises
    ------
    ValueError
        The set has no hierarchy.
    """
    entry = _entry(name)
    if not is_hierarchical(name):
        with_one = [known for known in RECIPES if is_hierarchical(known)]
        raise ValueError(f"data set {name!r} has no hierarchy of labels: those that have one are {', '.join(with_one)}")
    above = {leaf["name"]: leaf["category"] for leaf in entry["leaves"]}
    above.update({child: top for top, children in entry["super_parents"].items() for child in children})
    return above


def closure(name: str) -> np.ndarray:
    """Boolean matrix (leaves, labels): row i marks leaf i and everything above it."""
    names = all_labels(name)
    above = parents(name) if is_hierarchical(name) else {}
    matrix = np.zeros((len(leaves(name)), len(names)), dtype=bool)
    for row, leaf in enumerate(names[: len(matrix)]):
        label = leaf
        while label is not None:
            matrix[row, names.index(label)] = True
            label = above.get(label)
    return matrix
