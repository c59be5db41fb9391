"""Label lists of the embedded sets and the hierarchies above them."""

import json
from functools import cache
from pathlib import Path

import numpy as np


@cache
def catalogue() -> dict:
    """Everything in labels.json: for each set its leaves (name, character, category), parents and super-parents."""
    return json.loads(Path(__file__).with_name("labels.json").read_text(encoding="utf-8"))


def leaves(name: str) -> list[dict]:
    """Drawn labels of a set: dicts with name, char and, where labels are grouped, category."""
    return catalogue()["pictograms268" if name == "pictograms238" else name]["leaves"]


def all_labels(name: str) -> list[str]:
    """Names of all labels of a set in the order of its target columns: leaves, parents, super-parents."""
    names = [leaf["name"] for leaf in leaves(name)]
    if name == "pictograms238":
        return names
    return names + list(catalogue()[name].get("parents", [])) + list(catalogue()[name].get("super_parents", {}))


def parents(name: str) -> dict[str, str]:
    """Parent of each label that has one, from leaves to parents and from parents to super-parents.

    Raises
    ------
    ValueError
        The set has no hierarchy.
    """
    entry = catalogue().get(name, {})
    if "parents" not in entry:
        with_one = [known for known, value in catalogue().items() if "parents" in value]
        raise ValueError(f"data set {name!r} has no hierarchy of labels: those that have one are {', '.join(with_one)}")
    above = {leaf["name"]: leaf["category"] for leaf in entry["leaves"]}
    above.update({child: top for top, children in entry["super_parents"].items() for child in children})
    return above


def closure(name: str) -> np.ndarray:
    """Boolean matrix (leaves, labels): row i marks leaf i and everything above it."""
    names = all_labels(name)
    above = parents(name) if "parents" in catalogue().get(name, {}) else {}
    matrix = np.zeros((len(leaves(name)), len(names)), dtype=bool)
    for row, leaf in enumerate(names[: len(matrix)]):
        label = leaf
        while label is not None:
            matrix[row, names.index(label)] = True
            label = above.get(label)
    return matrix
