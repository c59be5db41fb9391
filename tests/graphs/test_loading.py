import json

import pytest
import torch

from companion import datasets, paths
from companion.datasets import labels
from companion.victims import abstract
from flipbook import graphs

SIZES = {
    "voc": (35, 20),
    "nus-wide": (116, 81),
    "open-images": (601, 601),
    "pictograms20": (28, 20),
    "pictograms80": (93, 80),
    "pictograms81": (81, 65),
    "pictograms268": (268, 238),
    "crowds268": (268, 238),
}


@pytest.mark.parametrize("name", graphs.names())
def test_every_graph_has_its_labels_and_is_a_forest(name):
    graph = graphs.load(name)
    assert (len(graph), graph.annotated) == SIZES[name]
    assert torch.equal(graph.kid.sum(0), torch.tensor([0.0 if p is None else 1.0 for p in graph.parents]))
    assert sum(map(len, graph.levels)) == len(graph)
    assert all(graph.children[i] for i in range(graph.annotated, len(graph)))  # abstract means: with something beneath


@pytest.mark.parametrize(("name", "file"), [("voc", "voc"), ("nus-wide", "nus")])
def test_the_links_are_those_reported(name, file):
    graph = graphs.load(name)
    reported = json.loads((paths.REPORTED / "gmla" / f"{file}-knowledge-graph.json").read_text(encoding="utf-8"))
    nodes = sorted(reported["nodes"], key=lambda node: node["index"])
    assert [node["name"] for node in nodes] == list(graph.labels)
    assert [node["parent"] for node in nodes] == list(graph.parents)
    assert [node["kind"] == "abstract" for node in nodes] == graph.abstract.tolist()
    assert [graph.labels[i] for i in graph.roots] == [root for root in graph.labels if root in reported["roots"]]
    assert (reported["num_nodes"], reported["num_labels"]) == (len(graph), graph.annotated)


def test_voc_reads_as_the_paper_draws_it():
    graph = graphs.load("voc")
    below = {graph.labels[i]: {graph.labels[j] for j in graph.children[i]} for i in range(len(graph))}
    assert below["carnivore"] == {"cat", "dog"}
    assert below["organism"] == {"person", "pot_plant", "vertebrate"}
    assert below["vehicle"] == {"craft", "wheeled_vehicle"}


@pytest.mark.parametrize("name", ["pictograms81", "pictograms268", "crowds268"])
def test_columns_are_the_targets_of_the_data_set(name):
    graph, data = graphs.load(name), datasets.load(name, "test")
    assert list(graph.labels) == data.labels
    targets = data.targets[:200]
    assert torch.equal(graph.completed(targets[:, : graph.annotated]), targets.bool())
    linked = {a: graph.labels[p] for a, p in zip(graph.labels, graph.parents, strict=True) if p is not None}
    assert datasets.parents(name) == linked


def test_pictograms20_has_the_nodes_that_its_victims_learn():
    graph, targets = graphs.load("pictograms20"), datasets.load("pictograms20", "test").targets[:200]
    assert list(graph.labels) == abstract.labels("pictograms20")
    assert torch.equal(graph.completed(targets), abstract.extended("pictograms20", targets).bool())


def test_pictograms80_has_its_categories_as_roots():
    graph = graphs.load("pictograms80")
    categories = {leaf["category"] for leaf in labels.leaves("pictograms80")}
    assert {graph.labels[root] for root in graph.roots} == categories


def test_open_images_holds_known_links():
    graph = graphs.load("open-images")
    parent = {a: None if p is None else graph.labels[p] for a, p in zip(graph.labels, graph.parents, strict=True)}
    assert (parent["Tortoise"], parent["Turtle"]) == ("Turtle", "Reptile")
    assert parent["Flying disc"] == "Toy"  # the first of two
    assert parent["Animal"] is None


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown graph 'VOC2012': did you mean 'voc'"):
        graphs.load("VOC2012")
