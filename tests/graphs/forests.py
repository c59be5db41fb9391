"""Random forests and label vectors, and the rules of semantic consistency in plain recursive Python."""

from itertools import combinations

import torch
from torch import Tensor

from flipbook.graphs import KnowledgeGraph


def random_graph(random, labels: int) -> KnowledgeGraph:
    """Every label gets an earlier one in a random order as its parent, or none."""
    order = random.permutation(labels).tolist()
    parents = [None] * labels
    for place, label in enumerate(order):
        choice = int(random.integers(-1, place)) if place else -1
        parents[label] = None if choice < 0 else order[choice]
    return KnowledgeGraph("random", tuple(f"l{i}" for i in range(labels)), tuple(parents), labels)


def consistent_vector(random, graph: KnowledgeGraph) -> list[bool]:
    """Some leaves and everything above them."""
    on = [False] * len(graph)
    for node in range(len(graph)):
        if not graph.children[node] and random.random() < 0.5:
            while node is not None:
                on[node] = True
                node = graph.parents[node]
    return on


def violating(graph: KnowledgeGraph, on: list[bool], node: int) -> bool:
    parent, children = graph.parents[node], graph.children[node]
    childless = bool(children) and not any(on[child] for child in children)
    return on[node] and (childless or (parent is not None and not on[parent]))


def family(graph: KnowledgeGraph, node: int) -> set[int]:
    """What is above and beneath a label, and itself."""

    def beneath(start):
        return {start}.union(*(beneath(child) for child in graph.children[start]))

    def above(start):
        return set() if start is None else {start} | above(graph.parents[start])

    return beneath(node) | above(node)


def plain_h(graph: KnowledgeGraph, on: list[bool], targets: set[int]) -> set[int]:
    """Ψ by recursion downwards, and upwards until nothing changes."""
    off = set(targets)

    def down(node):
        for child in graph.children[node]:
            if on[child]:
                off.add(child)
            down(child)

    def up(node):
        parent = graph.parents[node]
        if parent is None:
            return
        if on[parent] and all(child in off or not on[child] for child in graph.children[parent]):
            off.add(parent)
        up(parent)

    for node in targets:
        down(node)
    before = None
    while before != off:
        before = set(off)
        for node in targets:
            up(node)
    return off


def smallest(graph: KnowledgeGraph, on: list[bool], targets: set[int]) -> list[set[int]]:
    """All sets of the fewest labels that contain the targets and leave no violation when switched off."""
    rest = [node for node in range(len(graph)) if on[node] and node not in targets]
    for more in range(len(rest) + 1):
        found = []
        for extra in combinations(rest, more):
            off = targets | set(extra)
            left = [state and node not in off for node, state in enumerate(on)]
            if not any(violating(graph, left, node) for node in range(len(graph))):
                found.append(off)
        if found:
            return found
    return []


def completed(graph: KnowledgeGraph, targets: Tensor) -> Tensor:
    """Targets (B, c) of the first labels, with everything above what is on; (B, C) of bool."""
    on = torch.zeros(len(targets), len(graph), dtype=torch.bool)
    for row, column in targets.nonzero().tolist():
        node = column
        while node is not None:
            on[row, node] = True
            node = graph.parents[node]
    return on
