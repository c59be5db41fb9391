"""Files as other systems and editors leave them: byte order marks, hidden twins, CRLF; annotations that are none."""

import json

import pytest

from companion import datasets
from tests.datasets import layouts


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    return tmp_path


def _rewrite(path, change):
    path.write_bytes(change(path.read_bytes()))


def with_mark(content):
    return b"\xef\xbb\xbf" + content


def with_crlf(content):
    return content.replace(b"\n", b"\r\n") + b"\r\n  \r\n"


def _same(one, other):
    assert one.labels == other.labels
    assert one.targets.tolist() == other.targets.tolist()
    assert (datasets.stack(one, range(len(one)))[0] == datasets.stack(other, range(len(other)))[0]).all()


@pytest.mark.parametrize("change", [with_mark, with_crlf])
def test_voc_lists(root, change):
    folder = layouts.voc2012(root)
    before = datasets.load("voc2012", "test")
    for path in (folder / "ImageSets" / "Main").glob("*.txt"):
        _rewrite(path, change)
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    _same(datasets.load("voc2012", "test"), before)


def test_a_damaged_voc_list_is_named(root):
    path = layouts.voc2012(root) / "ImageSets" / "Main" / "car_trainval.txt"
    _rewrite(path, lambda content: content + b"2008_000050\n")
    with pytest.raises(OSError, match=r"car_trainval.txt, line 51, is '2008_000050', must be an image and -1, 0 or 1"):
        datasets.load("voc2012", "test")


@pytest.mark.parametrize("change", [with_mark, with_crlf])
def test_signs(root, change):
    folder = layouts.gtsrb(root)
    before = {split: datasets.load("gtsrb", split) for split in ("train", "test")}
    _rewrite(folder / "GT-final_test.csv", change)
    for path in list(folder.rglob("*.ppm")):
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    (folder / "GTSRB" / "Training" / "._00002").write_bytes(b"")
    for split, data in before.items():
        _same(datasets.load("gtsrb", split), data)


def test_a_list_of_signs_without_classes_is_named(root):
    folder = layouts.gtsrb(root)
    _rewrite(folder / "GT-final_test.csv", lambda content: content.replace(b";ClassId", b";Class"))
    with pytest.raises(OSError, match=r"GT-final_test.csv: the class of 00000.ppm is None, it must have the columns"):
        datasets.load("gtsrb", "test")


def test_hidden_twins_of_jpegs(root):
    folder = layouts.cifar10_jpeg(root)
    before = datasets.load("cifar10-jpeg", "test")
    for path in list((folder / "test").glob("*.jpg")):
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
    _same(datasets.load("cifar10-jpeg", "test"), before)


def _of_coco(root, change):
    path = layouts.coco2014(root) / "annotations" / "instances_val2014.json"
    _rewrite(path, change)


def _edited(change):
    def edit(content):
        content = json.loads(content)
        change(content)
        return json.dumps(content).encode()

    return edit


def _of_an_unknown_image(content):
    content["annotations"][3]["image_id"] = 12345


def _of_an_unknown_category(content):
    content["annotations"][3]["category_id"] = 77


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            _edited(_of_an_unknown_image),
            "1 annotations .* are of images that it does not list, first 12345",
        ),
        (_edited(_of_an_unknown_category), "1 annotations .* of categories that it does not list, first 77"),
        (_edited(lambda content: content["annotations"].clear()), "has no annotation of any image"),
        (_edited(lambda content: content.pop("annotations")), "has no list 'annotations'"),
        (_edited(lambda content: content["images"][1].pop("id")), "entry 1 of 'images' lacks id or file_name"),
        (lambda content: b"[]", "has no list 'categories'"),
        (lambda content: content[:200], "is cut short or no JSON"),
        (lambda content: b"", "is cut short or no JSON"),
    ],
)
def test_annotations_that_are_none_are_named_in_one_line(root, change, line):
    _of_coco(root, change)
    with pytest.raises(OSError, match=line) as refusal:
        datasets.load("coco2014", "test")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_annotations_with_a_mark_are_read(root):
    _of_coco(root, with_mark)
    assert len(datasets.load("coco2014", "test")) == 5
