import json

import pytest

from companion import paths
from flipbook.graphs import __main__ as command
from flipbook.graphs import hierarchy, loading
from flipbook.graphs.loading import shipped

TREE = {
    "LabelName": "/m/0",
    "Subcategory": [
        {"LabelName": "/m/toy", "Subcategory": [{"LabelName": "/m/disc"}, {"LabelName": "/m/bear"}]},
        {
            "LabelName": "/m/sport",
            "Subcategory": [{"LabelName": "/m/disc"}, {"LabelName": "/m/ball", "Part": [{"LabelName": "/m/skin"}]}],
        },
    ],
}
NAMES = "/m/ball,Ball\n/m/bear,Teddy bear\n/m/disc,Flying disc\n/m/sport,Sports equipment\n/m/toy,Toy\n/m/skin,Skin\n"


def write(folder, tree=TREE, names=NAMES):
    (folder / hierarchy.HIERARCHY).write_text(json.dumps(tree))
    (folder / hierarchy.DESCRIPTIONS).write_text(names)
    return folder


def test_classes_come_in_the_official_order_with_their_first_parent(tmp_path):
    assert list(hierarchy.read(write(tmp_path)).items()) == [
        ("Ball", "Sports equipment"),
        ("Teddy bear", "Toy"),
        ("Flying disc", "Toy"),
        ("Sports equipment", None),
        ("Toy", None),
    ]


def test_missing_files_and_names_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"bbox_labels_600_hierarchy.json is not in"):
        hierarchy.read(tmp_path)
    with pytest.raises(ValueError, match="has no name for class '/m/toy'"):
        hierarchy.read(write(tmp_path, names=NAMES.replace("/m/toy,Toy\n", "")))


def test_the_command_writes_the_shipped_file_again(tmp_path, monkeypatch, capsys):
    ours = json.dumps(shipped("open-images") | {"parents": {}})
    monkeypatch.setattr(loading, "FOLDER", tmp_path)
    (tmp_path / "open-images.json").write_text(ours)
    folder = write(tmp_path)
    assert command.main(["open-images", str(folder)]) == 0
    assert capsys.readouterr().out == "open-images: 5 labels, changed\n"
    assert command.main(["open-images", str(folder)]) == 0
    assert capsys.readouterr().out == "open-images: 5 labels, the same as before\n"
    assert json.loads((tmp_path / "open-images.json").read_text())["parents"] == hierarchy.read(folder)


def test_the_command_says_what_is_missing_in_one_line(tmp_path, monkeypatch, capsys):
    before = (loading.FOLDER / "open-images.json").read_bytes()
    assert command.main(["open-images", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (loading.FOLDER / "open-images.json").read_bytes() == before


OFFICIAL = paths.data_root() / "openimages"


@pytest.mark.skipif(
    not (OFFICIAL / hierarchy.HIERARCHY).is_file(), reason="needs Open Images' official files in $DATA_ROOT/openimages"
)
def test_the_official_files_give_the_shipped_graph():
    assert list(hierarchy.read(OFFICIAL).items()) == list(shipped("open-images")["parents"].items())
