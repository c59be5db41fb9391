"""Labels and targets of victims that know the nodes above the leaves."""

import pytest
import torch

from companion import datasets
from companion.victims import abstract, catalogue, graphs, loading

HEADS = [name for name in catalogue.names() if catalogue.recipe(name).pretrained]


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_the_labels_of_the_graph_in_its_order(name):
    recipe = catalogue.recipe(name)
    graph, labels = graphs.load(recipe.dataset), loading.labels(name)
    assert tuple(labels) == graph.labels
    assert recipe.outputs == len(graph)
    own = datasets.load(recipe.dataset, "test").labels
    assert labels[: len(own)] == own
    assert recipe.abstract == len(graph) - len(own)


@pytest.mark.parametrize("name", HEADS)
def test_targets_are_consistent_with_the_graph(name):
    given = datasets.load(catalogue.recipe(name).dataset, "test").targets[:200]
    graph, on = graphs.load(catalogue.recipe(name).dataset), loading.targets(name, given)
    assert on.dtype == given.dtype
    assert torch.equal(on[:, : given.shape[1]], given)
    inner = graph.inner.nonzero().flatten()
    assert torch.equal(on[:, inner].bool(), on.float() @ graph.kid[inner].T > 0)


def test_abstract_labels_by_hand():
    names, given = loading.labels("pictograms20-gcn"), torch.zeros(3, 20, dtype=torch.uint8)
    for row, leaves in enumerate(("sun", "rook die", "smiley anchor")):
        for leaf in leaves.split():
            given[row, names.index(leaf)] = 1
    on = loading.targets("pictograms20-gcn", given)
    assert [{names[j] for j in row.nonzero().flatten()} for row in on] == [
        {"sun", "sky", "weather"},
        {"rook", "chess", "die", "game"},
        {"smiley", "anchor", "travel", "thing"},
    ]


@pytest.mark.parametrize("name", ["pictograms20-resnet", "pictograms268-asl", "digits-ecoc"])
def test_other_victims_have_the_labels_and_targets_of_their_data_set(name):
    ds = datasets.load(catalogue.recipe(name).dataset, "test")
    assert loading.labels(name) == ds.labels
    assert loading.targets(name, ds.targets) is ds.targets


def test_unknown_victim_is_refused():
    with pytest.raises(KeyError, match="did you mean 'pictograms20-asl'"):
        loading.labels("pictograms20-als")


def test_tree_has_single_parents_and_no_node_with_one_child():
    labels, nodes = abstract.labels("pictograms20"), abstract.ABSTRACT["pictograms20"]
    children = [child for below in nodes.values() for child in below]
    assert len(children) == len(set(children)) == len(abstract.parents("pictograms20"))
    assert set(labels) - set(children) == {"smiley", "weather", "game", "thing"}
    assert min(len(below) for below in nodes.values()) >= 2
    for node, below in nodes.items():  # a node comes after those below it, so one pass completes the targets
        assert max(labels.index(child) for child in below) < labels.index(node)
