"""Knowledge graphs over victims' labels: the shipped ones of the real sets, and those of the pictograms."""

import difflib
from functools import cache

from companion.datasets import labels
from flipbook import graphs
from flipbook.graphs import KnowledgeGraph

from . import abstract

PICTOGRAMS = ("pictograms20", "pictograms80", "pictograms81", "pictograms268", "crowds268")


def names() -> list[str]:
    """Names that `load` knows."""
    return [*graphs.names(), *PICTOGRAMS]


@cache
def load(name: str) -> KnowledgeGraph:
    """Load a graph by the name of its data set: one of `flipbook.graphs.load`, or of the pictograms.

    Pictograms have their categories above them: target columns of pictograms81, pictograms268 and crowds268, the
    abstract nodes that some victims learn of pictograms20, and of pictograms80 neither.

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
    return _of_pictograms(name) if name in PICTOGRAMS else graphs.load(name)


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
