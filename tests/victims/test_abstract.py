"""Labels, parents and targets of victims that know abstract nodes."""

import pytest
import torch

from flipbook import datasets
from flipbook.victims import abstract, catalogue, loading

KNOWING = ["pictograms20-asl", "pictograms20-decoder", "pictograms20-gcn"]
HEADS = [name for name in catalogue.names() if catalogue.recipe(name).pretrained]


@pytest.mark.parametrize("name", KNOWING)
def test_one_name_per_logit_and_the_data_sets_labels_first(name):
    labels = loading.labels(name)
    assert len(labels) == len(set(labels)) == catalogue.recipe(name).outputs == 28
    assert labels[:20] == datasets.load("pictograms20", "test").labels


def test_tree_has_single_parents_and_no_node_with_one_child():
    parents, labels = abstract.parents("pictograms20"), abstract.labels("pictograms20")
    children = [child for below in abstract.ABSTRACT["pictograms20"].values() for child in below]
    assert len(children) == len(set(children)) == len(parents)
    assert set(children) | set(parents.values()) < set(labels)
    assert min(children.count(node) + list(parents.values()).count(node) for node in labels[20:]) >= 2
    for node in labels[20:]:  # a node comes after those below it: one pass over them is enough
        assert all(labels.index(child) < labels.index(node) for child in abstract.ABSTRACT["pictograms20"][node])
    assert set(labels) - set(parents) == {"smiley", "weather", "game", "thing"}


def test_extended_targets_are_the_closure():
    given = torch.zeros(3, 20, dtype=torch.uint8)
    names = abstract.labels("pictograms20")
    for row, leaves in enumerate(("sun", "rook die", "smiley")):
        for leaf in leaves.split():
            given[row, names.index(leaf)] = 1
    found = abstract.extended("pictograms20", given)
    assert found.dtype == torch.uint8
    on = [{names[j] for j in row.nonzero().flatten()} for row in found]
    assert on == [{"sun", "sky", "weather"}, {"rook", "chess", "die", "game"}, {"smiley"}]


@pytest.mark.parametrize("name", HEADS)
def test_targets_are_consistent_with_the_hierarchy(name):
    given = datasets.load(catalogue.recipe(name).dataset, "test").targets[:200]
    on, labels, parents = loading.targets(name, given).bool(), loading.labels(name), loading.parents(name)
    assert on.shape[1] == catalogue.recipe(name).outputs
    assert torch.equal(on[:, : given.shape[1]], given.bool())
    for node in set(parents.values()):
        children = [labels.index(child) for child, parent in parents.items() if parent == node]
        assert torch.equal(on[:, labels.index(node)], on[:, children].any(1))


def test_other_victims_keep_their_labels_and_targets():
    ds = datasets.load("pictograms20", "test")
    assert loading.labels("pictograms20-resnet") == ds.labels
    assert loading.targets("pictograms20-resnet", ds.targets) is ds.targets
    assert loading.parents("pictograms20-resnet") == {}
    assert loading.labels("pictograms268-asl") == datasets.load("pictograms268", "test").labels
    assert loading.parents("pictograms81-gcn") == datasets.parents("pictograms81")


def test_unknown_victim_is_refused():
    for function in (loading.labels, loading.parents):
        with pytest.raises(KeyError, match="did you mean 'pictograms20-asl'"):
            function("pictograms20-als")
