import pytest

from companion.datasets import glyphs, labels

NAMES = ("pictograms20", "pictograms80", "pictograms81", "pictograms268", "pictograms10", "pictograms238")


@pytest.mark.parametrize(("name", "shape"), [("pictograms81", (65, 13, 3)), ("pictograms268", (238, 24, 6))])
def test_hierarchies_have_leaves_parents_and_super_parents(name, shape):
    above = labels.parents(name)
    leaves = [leaf["name"] for leaf in labels.leaves(name)]
    tops = set(above.values()) - set(above)
    assert (len(leaves), len({above[leaf] for leaf in leaves}), len(labels.all_labels(name))) == (
        *shape[:2],
        sum(shape),
    )
    assert len(tops & set(labels.catalogue()[name]["super_parents"])) == shape[2]
    assert set(above) | set(above.values()) == set(labels.all_labels(name))
    assert all(above.get(above.get(above[leaf])) is None for leaf in leaves)  # at most three levels


def test_the_closure_marks_a_leaf_and_its_ancestors():
    names, matrix = labels.all_labels("pictograms81"), labels.closure("pictograms81")
    row = matrix[names.index("knight")]
    assert {names[column] for column in row.nonzero()[0]} == {"knight", "chess", "game"}
    assert labels.closure("pictograms20").sum() == 20


@pytest.mark.parametrize("name", ["pictograms20", "signs43", "mnist", "nonsense"])
def test_a_set_without_hierarchy_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' has no hierarchy.*pictograms81, pictograms268"):
        labels.parents(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_leaf_has_a_glyph_that_no_other_leaf_has(name):
    inks = [glyphs.ink(leaf["char"]) for leaf in labels.leaves(name)]
    assert len({(ink.size, ink.tobytes()) for ink in inks}) == len(inks)
    missing = glyphs.ink("\U0010ffff")  # drawn as a box by fonts that lack a character
    assert all((ink.size, ink.tobytes()) != (missing.size, missing.tobytes()) for ink in inks)


def test_sets_that_share_a_list():
    assert labels.all_labels("crowds268") == labels.all_labels("pictograms268")
    assert labels.parents("crowds268") == labels.parents("pictograms268")


def test_single_label_leaves_are_those_of_the_hierarchy():
    assert labels.all_labels("pictograms238") == labels.all_labels("pictograms268")[:238]
