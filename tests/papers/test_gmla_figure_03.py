from itertools import combinations

import matplotlib.pyplot as plt
import pytest

from companion.papers.gmla import figure_03
from companion.report.figures import WIDTH
from companion.victims import graphs
from flipbook.graphs import KnowledgeGraph


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def texts(figure):
    return {text.get_text(): text for text in figure.axes[0].texts}


def boxes(figure):
    return [patch.get_window_extent(figure.canvas.get_renderer()) for patch in figure.axes[0].patches]


def faces_of(figure):
    pairs = zip(figure.axes[0].texts, figure.axes[0].patches, strict=True)
    return {text.get_text(): patch.get_facecolor()[:3] for text, patch in pairs}


@pytest.mark.parametrize("name", ["voc", "nus-wide", "pictograms20", "pictograms80", "pictograms81"])
def test_every_label_is_drawn_once_and_nothing_overlaps(name):
    graph = graphs.load(name)
    figure = figure_03.draw(graph)
    figure.set_dpi(100)
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(drawn[2:]) == sorted(label.replace("_", " ") for label in graph.labels)
    extents = boxes(figure)
    assert len(extents) == len(drawn)
    assert not any(one.overlaps(other) for one, other in combinations(extents, 2))
    for text, box in zip(figure.axes[0].texts, extents, strict=True):
        inside = text.get_window_extent(figure.canvas.get_renderer())
        assert box.x0 < inside.x0 < inside.x1 < box.x1
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", ["voc", "pictograms20", "pictograms81", "pictograms268"])
def test_usual_graphs_keep_the_width_of_all_figures(name):
    assert figure_03.draw(graphs.load(name)).get_figwidth() == WIDTH


def test_children_stand_to_the_right_of_their_parent():
    graph = graphs.load("voc")
    placed = texts(figure_03.draw(graph))
    for child, parent in enumerate(graph.parents):
        if parent is not None:
            right = placed[graph.labels[child].replace("_", " ")].get_position()[0]
            assert right > placed[graph.labels[parent].replace("_", " ")].get_position()[0]


def test_annotated_and_abstract_labels_look_different():
    figure = figure_03.draw(graphs.load("voc"))
    placed = texts(figure)
    assert placed["cat"].get_style() == "normal"
    assert placed["carnivore"].get_style() == "italic"
    faces = faces_of(figure)
    assert faces["carnivore"] == (1, 1, 1) != faces["cat"]


def test_highlighted_labels_have_the_colour_of_their_first_group():
    graph = graphs.load("voc")
    figure = figure_03.draw(graph, {"Ω": ["cat"], "Ψ": ["cat", "carnivore"]})
    faces = faces_of(figure)
    assert faces["cat"] == faces["Ω"] == figure_03.MARKS[0]
    assert faces["carnivore"] == faces["Ψ"] == figure_03.MARKS[1]
    assert len({faces[label] for label in ("dog", "car", "annotated label")}) == 1  # everything else steps back


def test_one_label_and_a_flat_graph_can_be_drawn():
    assert set(texts(figure_03.draw(KnowledgeGraph.of("one", {"a": None})))) == {"annotated label", "a"}
    flat = figure_03.draw(KnowledgeGraph.of("flat", {f"label {i}": None for i in range(40)}))
    assert flat.get_figwidth() == WIDTH


def test_what_cannot_be_drawn_is_refused():
    graph = graphs.load("voc")
    with pytest.raises(ValueError, match="label 'dgo' is not in graph 'voc' of 35 labels: did you mean 'dog'"):
        figure_03.draw(graph, {"Ω": ["dgo"]})
    with pytest.raises(ValueError, match="highlight has 5 groups: there are colours for 4"):
        figure_03.draw(graph, {str(i): [] for i in range(5)})
    with pytest.raises(ValueError, match="graph 'none' has no labels: there is nothing to draw"):
        figure_03.draw(KnowledgeGraph.of("none", {}))
