import importlib.util

import pytest

from companion import paths
from flipbook.graphs import wordnet
from flipbook.graphs.loading import shipped

# entity - whole - (being - animal - beast - (cat, dog), (artefact - (car, box - (crate, cart)))
ABOVE = {
    "cat.n.01": {"feline.n.01": 0.9},
    "feline.n.01": {"beast.n.01": 0.9},
    "dog.n.01": {"canine.n.01": 0.9, "pet.n.01": 0.8},
    "canine.n.01": {"beast.n.01": 0.9},
    "pet.n.01": {"animal.n.01": 0.8},
    "beast.n.01": {"animal.n.01": 0.9},
    "animal.n.01": {"whole.n.02": 0.8},
    "cart.n.01": {"box.n.01": 0.7, "vehicle.n.01": 0.9},
    "car.n.01": {"vehicle.n.01": 0.9},
    "vehicle.n.01": {"artefact.n.01": 0.8},
    "crate.n.01": {"box.n.01": 0.7},
    "box.n.01": {"artefact.n.01": 0.7},
    "artefact.n.01": {"whole.n.02": 0.6},
    "whole.n.02": {"entity.n.01": 0.5},
    "entity.n.01": {},
}


def test_reducing_keeps_the_most_similar_parent_contracts_and_drops_the_top():
    labels = ["cat.n.01", "dog.n.01", "cart.n.01", "car.n.01", "crate.n.01"]
    assert list(wordnet.reduced(labels, ABOVE).items()) == [
        ("cat.n.01", "beast.n.01"),  # feline has one child, and so has animal
        ("dog.n.01", "beast.n.01"),  # pet is less similar and has no other child
        ("cart.n.01", "vehicle.n.01"),
        ("car.n.01", "vehicle.n.01"),
        ("crate.n.01", "artefact.n.01"),  # box lost the cart, so that one child is left to it
        ("beast.n.01", None),  # entity and whole stand above everything
        ("vehicle.n.01", "artefact.n.01"),
        ("artefact.n.01", None),
    ]


def test_a_label_stays_whatever_its_children():
    labels = ["cat.n.01", "animal.n.01", "feline.n.01"]
    links = {"cat.n.01": "feline.n.01", "animal.n.01": None, "feline.n.01": "animal.n.01"}
    assert wordnet.reduced(labels, ABOVE) == links
    assert wordnet.reduced(["entity.n.01", "cat.n.01"], ABOVE) == {"entity.n.01": None, "cat.n.01": "entity.n.01"}


def test_equal_hypernyms_are_settled_by_name():
    above = {"a.n.01": {"z.n.01": 0.5, "c.n.01": 0.5}, "b.n.01": {"c.n.01": 0.5, "z.n.01": 0.5}}
    above |= {"d.n.01": {"z.n.01": 0.5}, "e.n.01": {"z.n.01": 0.5}, "z.n.01": {}, "c.n.01": {}}
    links = wordnet.reduced(["a.n.01", "b.n.01", "d.n.01", "e.n.01"], above)
    assert links["a.n.01"] == links["b.n.01"] == "c.n.01"


def test_abstract_labels_are_named_by_their_word_unless_it_is_taken():
    synsets = {"seat": "chair.n.01", "sofa": "sofa.n.01"}
    links = {"chair.n.01": "seat.n.03", "sofa.n.01": "seat.n.03", "seat.n.03": "furniture.n.01", "furniture.n.01": None}
    named = {"seat": "seat.n.03", "sofa": "seat.n.03", "seat.n.03": "furniture", "furniture": None}
    assert wordnet.named(synsets, links) == named


def test_labels_of_one_synset_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"labels 'sofa' and 'couch' share synset 'sofa.n.01'"):
        wordnet.build({"sofa": "sofa.n.01", "couch": "sofa.n.01"}, tmp_path)


def test_a_folder_without_wordnet_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data.noun is not in .*: unpack WordNet 3.0 there"):
        wordnet.build({"cat": "cat.n.01"}, tmp_path)


class Dictionary:
    """WordNet with one noun and one verb, which answers and fails as nltk does."""

    def synset(self, name):
        senses = {"dog": {"n": "a noun"}, "run": {"v": "a verb"}}
        word, kind, _ = name.split(".")
        return senses[word][kind]


needs_nltk = pytest.mark.skipif(importlib.util.find_spec("nltk") is None, reason="needs nltk")


@needs_nltk
@pytest.mark.parametrize(
    ("synset", "message"),
    [
        ("run.v.01", "label 'a' has synset 'run.v.01': it must be a noun, such as 'dog.n.01'"),
        ("dog.v.01", "label 'a' has synset 'dog.v.01': it must be a noun, such as 'dog.n.01'"),
        ("dog", "label 'a' has synset 'dog': it must be a noun, such as 'dog.n.01'"),
        ("run.n.01", "label 'a' has synset 'run.n.01': WordNet has no such noun; write a noun like 'dog.n.01'"),
    ],
)
def test_only_nouns_are_taken(synset, message):
    assert wordnet._synset(Dictionary(), "a", "dog.n.01") == "a noun"
    with pytest.raises(ValueError, match=f"^{message}$"):
        wordnet._synset(Dictionary(), "a", synset)


FOLDER = paths.data_root() / "wordnet"
needs_wordnet = pytest.mark.skipif(
    importlib.util.find_spec("nltk") is None or not (FOLDER / "data.noun").is_file(),
    reason="needs nltk and WordNet 3.0's database files in $DATA_ROOT/wordnet",
)


@needs_wordnet
def test_wordnet_gives_the_shipped_graph_of_voc():
    content = shipped("voc")
    built = wordnet.build(content["synsets"], FOLDER)
    assert list(built.items()) == list(content["parents"].items())


@needs_wordnet
def test_an_unknown_synset_is_refused():
    with pytest.raises(ValueError, match=r"label 'dog' has synset 'dgo.n.01': .*; write a noun like 'dog.n.01'"):
        wordnet.build({"dog": "dgo.n.01"}, FOLDER)
