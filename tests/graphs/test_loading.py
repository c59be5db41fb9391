import json

import pytest
import torch

from companion import paths
from flipbook import graphs

SIZES = {
    "voc": (35, 20),
    "nus-wide": (116, 81),
    "open-images": (601, 601),
}


@pytest.mark.parametrize("name", graphs.names())
def test_every_graph_has_its_labels_and_is_a_forest(name):
    graph = graphs.load(name)
    assert (len(graph), graph.annotated) == SIZES[name]
    assert is_a_forest(graph)


def is_a_forest(graph):
    """Whether every label has at most one parent and a level, and every abstract one something beneath it."""
    parents = torch.tensor([0.0 if p is None else 1.0 for p in graph.parents])
    levels = sum(map(len, graph.levels)) == len(graph)
    return torch.equal(graph.kid.sum(0), parents) and levels and all(graph.children[graph.annotated :])


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


def test_open_images_holds_known_links():
    graph = graphs.load("open-images")
    parent = {a: None if p is None else graph.labels[p] for a, p in zip(graph.labels, graph.parents, strict=True)}
    assert (parent["Tortoise"], parent["Turtle"]) == ("Turtle", "Reptile")
    assert parent["Flying disc"] == "Toy"  # the first of two
    assert parent["Animal"] is None


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown graph 'VOC2012': did you mean 'voc'"):
        graphs.load("VOC2012")
