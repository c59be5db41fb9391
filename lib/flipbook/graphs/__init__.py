"""Knowledge graphs over labels: by name, or built from WordNet and from Open Images' official hierarchy."""

from flipbook.graphs.graph import KnowledgeGraph
from flipbook.graphs.loading import load, names

__all__ = ["KnowledgeGraph", "load", "names"]
