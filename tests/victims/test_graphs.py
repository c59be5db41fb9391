"""The pictograms' knowledge graphs."""

import pytest
import torch

from companion import datasets
from companion.datasets import labels
from companion.victims import abstract, graphs
from tests.graphs.forests import completed
from tests.graphs.test_loading import is_a_forest

SIZES = {
    "pictograms20": (28, 20),
    "pictograms80": (93, 80),
    "pictograms81": (81, 65),
    "pictograms268": (268, 238),
    "crowds268": (268, 238),
}


@pytest.mark.parametrize("name", SIZES)
def test_every_graph_has_its_labels_and_is_a_forest(name):
    graph = graphs.load(name)
    assert (len(graph), graph.annotated) == SIZES[name]
    assert is_a_forest(graph)


@pytest.mark.parametrize("name", ["pictograms81", "pictograms268", "crowds268"])
def test_columns_are_the_targets_of_the_data_set(name):
    graph, data = graphs.load(name), datasets.load(name, "test")
    assert list(graph.labels) == data.labels
    targets = data.targets[:200]
    assert torch.equal(completed(graph, targets[:, : graph.annotated]), targets.bool())
    linked = {a: graph.labels[p] for a, p in zip(graph.labels, graph.parents, strict=True) if p is not None}
    assert datasets.parents(name) == linked


def test_pictograms20_has_the_nodes_that_its_victims_learn():
    graph, targets = graphs.load("pictograms20"), datasets.load("pictograms20", "test").targets[:200]
    assert list(graph.labels) == abstract.labels("pictograms20")
    assert torch.equal(completed(graph, targets), abstract.extended("pictograms20", targets).bool())


def test_pictograms80_has_its_categories_as_roots():
    graph = graphs.load("pictograms80")
    categories = {leaf["category"] for leaf in labels.leaves("pictograms80")}
    assert {graph.labels[root] for root in graph.roots} == categories


def test_shipped_graphs_are_known_here_too_and_others_are_refused():
    assert graphs.load("voc").annotated == 20
    assert set(graphs.names()) > set(SIZES)
    with pytest.raises(ValueError, match="unknown graph 'pictograms': did you mean 'pictograms"):
        graphs.load("pictograms")
