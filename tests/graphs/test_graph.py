import pytest

from flipbook.graphs import KnowledgeGraph

SMALL = {"cat": "animal", "animal": "thing", "thing": None, "sofa": "thing", "sun": None}


@pytest.fixture
def graph():
    return KnowledgeGraph.of("small", SMALL, annotated=2)


def test_relations_follow_from_the_parents(graph):
    cat, animal, thing, sofa, sun = range(5)
    assert graph.labels == ("cat", "animal", "thing", "sofa", "sun")
    assert graph.parents == (animal, thing, None, thing, None)
    assert graph.roots == (thing, sun)
    assert graph.children == ((), (cat,), (animal, sofa), (), ())
    assert graph.depth.tolist() == [2, 1, 0, 1, 0]
    assert [level.tolist() for level in graph.levels] == [[thing, sun], [animal, sofa], [cat]]
    assert {tuple(pair) for pair in graph.kid.nonzero().tolist()} == {(animal, cat), (thing, animal), (thing, sofa)}
    above = {(animal, cat), (thing, cat), (thing, animal), (thing, sofa)} | {(i, i) for i in range(5)}
    assert {tuple(pair) for pair in graph.anc.nonzero().tolist()} == above
    assert graph.inner.tolist() == [False, True, True, False, False]
    assert graph.abstract.tolist() == [False, False, True, True, True]


def test_masks_and_names_are_inverse(graph):
    mask = graph.mask(["sofa", "cat"])
    assert mask.tolist() == [True, False, False, True, False]
    assert graph.names(mask) == ["cat", "sofa"]
    assert graph.mask("cat").tolist() == [True, False, False, False, False]
    assert not graph.mask([]).any()


def test_moving_keeps_everything(graph):
    moved = graph.to("meta")
    assert moved.anc.device.type == "meta"
    assert (moved.labels, moved.parents, moved.annotated) == (graph.labels, graph.parents, graph.annotated)


def test_an_unknown_label_is_refused_with_the_nearest(graph):
    with pytest.raises(ValueError, match="label 'sofas' is not in graph 'small' of 5 labels: did you mean 'sofa'"):
        graph.index("sofas")
    with pytest.raises(ValueError, match="label 'dog' is not in graph"):
        graph.mask(["cat", "dog"])


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="graph 'ring' is cyclic: b -> c -> b: take one of these links"):
        KnowledgeGraph.of("ring", {"a": "b", "b": "c", "c": "b"})
    with pytest.raises(ValueError, match="cyclic: a -> a"):
        KnowledgeGraph.of("ring", {"a": "a"})


def test_a_parent_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="graph 'g': 'cat' has parent 'feline', which is not in the graph"):
        KnowledgeGraph.of("g", {"cat": "feline"})
    with pytest.raises(ValueError, match=r"graph 'g': 'cat' has parent 3, must be None or in 0..0"):
        KnowledgeGraph("g", ("cat",), (3,), 1)


def test_other_wrong_parts_are_refused():
    with pytest.raises(ValueError, match="two labels 'cat'"):
        KnowledgeGraph("g", ("cat", "cat"), (None, None), 2)
    with pytest.raises(ValueError, match="2 labels but 1 parents"):
        KnowledgeGraph("g", ("cat", "dog"), (None,), 2)
    with pytest.raises(ValueError, match=r"annotated is 3, must be in 0..2"):
        KnowledgeGraph.of("g", {"cat": None, "dog": None}, annotated=3)
