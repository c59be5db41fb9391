"""A forest over labels: which label implies which, as tensors that serve a whole batch."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Labels with at most one parent each; a label that is on implies its parent.

    Attributes
    ----------
    name : str
        Of the data set.
    labels : tuple of C str
        All nodes, in the order of the target columns.
    parents : tuple of C int or None
        Place of each label's parent; None at a root.
    annotated : int
        How many labels at the beginning are the data set's own; those after them are abstract: nobody annotates them,
        they are on where something beneath them is.
    device : torch.device or str
        Of the tensors.

    Raises
    ------
    ValueError
        A label that occurs twice, a parent that does not exist, a cycle.
    """

    name: str
    labels: tuple[str, ...]
    parents: tuple[int | None, ...]
    annotated: int
    device: torch.device | str = "cpu"

    def __post_init__(self):
        object.__setattr__(self, "device", torch.device(self.device))
        if len(self.parents) != len(self.labels):
            raise ValueError(f"graph {self.name!r} has {len(self.labels)} labels but {len(self.parents)} parents")
        twice = next((label for i, label in enumerate(self.labels) if label in self.labels[:i]), None)
        if twice is not None:
            raise ValueError(f"graph {self.name!r} has two labels {twice!r}: give each its own name")
        if not 0 <= self.annotated <= len(self.labels):
            raise ValueError(f"graph {self.name!r}: annotated is {self.annotated}, must be in 0..{len(self.labels)}")
        for child, parent in enumerate(self.parents):
            if parent is not None and not 0 <= parent < len(self.labels):
                raise ValueError(
                    f"graph {self.name!r}: {self.labels[child]!r} has parent {parent}, "
                    f"must be None or in 0..{len(self.labels) - 1}"
                )
        for node in range(len(self.labels)):
            self._path(node)

    @classmethod
    def of(cls, name: str, parents: Mapping[str, str | None], annotated: int | None = None) -> "KnowledgeGraph":
        """Make a graph from the parent of each label, None at a root; the mapping's order is that of the columns.

        Raises
        ------
        ValueError
            A parent that is not a label of the graph, or a cycle.
        """
        place = {label: i for i, label in enumerate(parents)}
        for child, parent in parents.items():
            if parent is not None and parent not in place:
                raise ValueError(
                    f"graph {name!r}: {child!r} has parent {parent!r}, which is not in the graph: "
                    f"add {parent!r} as a label, or give None"
                )
        above = tuple(None if parent is None else place[parent] for parent in parents.values())
        return cls(name, tuple(parents), above, len(parents) if annotated is None else annotated)

    def to(self, device) -> "KnowledgeGraph":
        """Return the graph with its tensors on a device."""
        return KnowledgeGraph(self.name, self.labels, self.parents, self.annotated, device)

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, label: str) -> int:
        """Column of a label.

        Raises
        ------
        ValueError
            For a label that is not in the graph; names the nearest one.
        """
        if label not in self._places:
            near = difflib.get_close_matches(str(label).lower(), self.labels, n=1, cutoff=0.0)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"label {label!r} is not in graph {self.name!r} of {len(self)} labels{hint}")
        return self._places[label]

    def mask(self, labels: Iterable[str]) -> Tensor:
        """Return (C,) of bool, True at the given labels."""
        labels = [labels] if isinstance(labels, str) else labels
        chosen = torch.zeros(len(self), dtype=torch.bool, device=self.device)
        chosen[[self.index(label) for label in labels]] = True
        return chosen

    def names(self, mask: Tensor) -> list[str]:
        """Return the labels where a mask (C,) is True."""
        return [self.labels[i] for i in mask.nonzero().flatten().tolist()]

    @cached_property
    def anc(self) -> Tensor:
        """Anc (C, C) of float32: 1 at [i, j] where label i is j or an ancestor of j."""
        anc = torch.zeros(len(self), len(self))
        for node in range(len(self)):
            anc[self._path(node), node] = 1
        return anc.to(self.device)

    @cached_property
    def kid(self) -> Tensor:
        """Kid (C, C) of float32: 1 at [i, j] where label j is a child of i."""
        kid = torch.zeros(len(self), len(self))
        for child, parent in enumerate(self.parents):
            if parent is not None:
                kid[parent, child] = 1
        return kid.to(self.device)

    @cached_property
    def depth(self) -> Tensor:
        """Links between each label and its root, (C,) of int64."""
        return self.anc.sum(0).long() - 1

    @cached_property
    def levels(self) -> tuple[Tensor, ...]:
        """Places of the labels at depth 0, 1, 2, ...: int64 tensors that together hold every label once."""
        return tuple(
            (self.depth == d).nonzero().flatten() for d in range(int(self.depth.max()) + 1 if len(self) else 0)
        )

    @cached_property
    def inner(self) -> Tensor:
        """Whether a label has children, (C,) of bool."""
        return self.kid.sum(1) > 0

    @cached_property
    def abstract(self) -> Tensor:
        """Whether a label is abstract, (C,) of bool."""
        return torch.arange(len(self), device=self.device) >= self.annotated

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Places of each label's children, in column order."""
        below = [[] for _ in self.labels]
        for child, parent in enumerate(self.parents):
            if parent is not None:
                below[parent].append(child)
        return tuple(map(tuple, below))

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """Places of the labels without parent."""
        return tuple(i for i, parent in enumerate(self.parents) if parent is None)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    def _path(self, node: int) -> list[int]:
        """A label and everything above it, upwards."""
        path = [node]
        while (above := self.parents[path[-1]]) is not None:
            path.append(above)
            if above in path[:-1]:
                ring = " -> ".join(self.labels[i] for i in path[path.index(above) :])
                raise ValueError(f"graph {self.name!r} is cyclic: {ring}: take one of these links to a parent out")
        return path
