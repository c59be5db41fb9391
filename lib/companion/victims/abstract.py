"""Abstract nodes that some victims of pictograms20 know beside its 20 labels, as GMLA's VOC classifiers know 15."""

import torch
from torch import Tensor

from companion.datasets import labels as lists

# Children of each node, a node always after those below it. The top ones are the categories of the label list; its
# fourth, "face", would have one child, and such a node says nothing that the child does not.
ABSTRACT = {
    "pictograms20": {
        "sky": ("sun", "moon", "star"),
        "chess": ("king", "rook", "knight"),
        "cards": ("spade", "heart", "club"),
        "message": ("telephone", "envelope"),
        "travel": ("airplane", "anchor"),
        "weather": ("cloud", "umbrella", "snowman", "sky"),
        "game": ("die", "chess", "cards"),
        "thing": ("scissors", "music", "message", "travel"),
    }
}


def labels(dataset: str) -> list[str]:
    """Labels of a data set, then its abstract nodes: the order of the logits of a victim that knows them."""
    return lists.all_labels(dataset) + list(ABSTRACT[dataset])


def parents(dataset: str) -> dict[str, str]:
    """Parent of each label and node that has one."""
    return {child: node for node, children in ABSTRACT[dataset].items() for child in children}


def extended(dataset: str, targets: Tensor) -> Tensor:
    """Label vectors (N, C) of 0 and 1 with a column for each abstract node: 1 where a child of it is 1."""
    names, columns = labels(dataset), list(targets.unbind(1))
    for children in ABSTRACT[dataset].values():
        columns.append(torch.stack([columns[names.index(child)] for child in children]).amax(0))
    return torch.stack(columns, 1)
