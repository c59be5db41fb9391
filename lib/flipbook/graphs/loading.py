"""The graphs that ship with the library."""

import difflib
import json
from functools import cache
from pathlib import Path

from flipbook.graphs.graph import KnowledgeGraph

FOLDER = Path(__file__).resolve().parent
SHIPPED = ("voc", "nus-wide", "open-images")


def names() -> list[str]:
    """Names that `load` knows."""
    return list(SHIPPED)


@cache
def load(name: str) -> KnowledgeGraph:
    """Load a graph by the name of its data set.

    "voc" (20 labels + 15 abstract) is built from WordNet 3.0 as the GMLA supplement says (section 5); "nus-wide"
    (81 + 35) has the links of the authors' training labels, and names of abstract labels that are partly guesses;
    "open-images" is the official hierarchy of 601 classes.

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
    if name not in SHIPPED:
        near = difflib.get_close_matches(str(name).lower(), SHIPPED, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown graph {name!r}: did you mean {near!r}? There are {', '.join(SHIPPED)}")
    content = shipped(name)
    return KnowledgeGraph.of(name, content["parents"], content["annotated"])


def shipped(name: str) -> dict:
    """Content of <name>.json beside this file: source, number of annotated labels, parents, for VOC also synsets."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
