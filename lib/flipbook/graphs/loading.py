"""The graphs that Flipbook knows by name."""

import difflib
import json
from functools import cache

from flipbook import paths
from flipbook.datasets import labels
from flipbook.graphs.graph import KnowledgeGraph
from flipbook.victims import abstract

SHIPPED = ("voc", "nus-wide", "open-images")
PICTOGRAMS = ("pictograms20", "pictograms80", "pictograms81", "pictograms268", "crowds268")


def names() -> list[str]:
    """Names that `load` knows."""
    return [*SHIPPED, *PICTOGRAMS]


@cache
def load(name: str) -> KnowledgeGraph:
    """Load a graph by the name of its data set.

    "voc" (20 labels + 15 abstract) is built from WordNet 3.0 as the GMLA supplement says (section 5); "nus-wide"
    (81 + 35) has the links of the authors' training labels, and names of abstract labels that are partly guesses;
    "open-images" is the official hierarchy of 601 classes. Pictograms have their categories above them: target columns
    of pictograms81, pictograms268 and crowds268, the abstract nodes that some victims learn of pictograms20, and of
    pictograms80 neither.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    KnowledgeGraph
        On the CPU.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in names():
        near = difflib.get_close_matches(str(name).lower(), names(), n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown graph {name!r}: did you mean {near!r}? There are {', '.join(names())}")
    return _of_pictograms(name) if name in PICTOGRAMS else _shipped(name)


def shipped(name: str) -> dict:
    """Content of <name>.json beside this file: source, number of annotated labels, parents, for VOC also synsets."""
    return json.loads((paths.GRAPHS / f"{name}.json").read_text(encoding="utf-8"))


def _shipped(name: str) -> KnowledgeGraph:
    content = shipped(name)
    return KnowledgeGraph.of(name, content["parents"], content["annotated"])


def _of_pictograms(name: str) -> KnowledgeGraph:
    """Drawn pictograms are the annotated labels; what is above them is abstract."""
    leaves = labels.leaves(name)
    if name in abstract.ABSTRACT:
        columns, above = abstract.labels(name), abstract.parents(name)
    elif labels.is_hierarchical(name):
        columns, above = labels.all_labels(name), labels.parents(name)
    else:
        above = {leaf["name"]: leaf["category"] for leaf in leaves}
        columns = [*above, *dict.fromkeys(above.values())]
    return KnowledgeGraph.of(name, {label: above.get(label) for label in columns}, len(leaves))
