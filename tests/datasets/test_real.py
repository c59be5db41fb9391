import tarfile

import numpy as np
import pytest
import torch

from companion import datasets
from companion.datasets import photographs, real
from tests.datasets import layouts


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    return tmp_path


def test_mnist_is_padded_with_zeros_to_32_x_32(root):
    layouts.mnist(root)
    ds = datasets.load("mnist", "test")
    image, target = ds[11]
    assert image.shape == (1, 32, 32)
    assert torch.equal(image[0, 2:-2, 2:-2], torch.full((28, 28), 11 / 255))
    image[0, 2:-2, 2:-2] = 0
    assert not image.any()
    assert target == 1
    assert ds.targets.dtype == torch.int64
    assert (ds.task, ds.stands_for, ds.caption) == ("single-label", None, "MNIST, test images")
    assert ds.labels == list("0123456789")


def test_validation_is_a_fixed_tenth_of_the_official_training_images(root):
    layouts.mnist(root)
    train, validation = (
        datasets.tensors(datasets.load("mnist", split), progress=False) for split in ("train", "validation")
    )
    shown = [images[:, 0, 16, 16].tolist() for images, _ in (train, validation)]
    assert len(shown[1]) == 4
    assert sorted(shown[0] + shown[1]) == list(range(40))
    assert [grey % 10 for grey in shown[0]] == train[1].tolist()
    assert shown[1] == [5, 15, 22, 39]  # fixed for good: results depend on it


@pytest.mark.parametrize(("n", "held_back"), [(1, 0), (2, 1), (11, 1), (50_000, 5_000), (60_000, 6_000)])
def test_a_tenth_is_held_back_but_never_all(n, held_back):
    train, validation = (real.rows_of("mnist", split, np.arange(n)) for split in ("train", "validation"))
    assert len(validation) == held_back
    assert sorted([*train, *validation]) == list(range(n))


def test_cifar10_keeps_pixels_channels_and_classes(root, monkeypatch):
    layouts.accept_cifar10(monkeypatch, layouts.cifar10(root))
    ds = datasets.load("cifar10", "test")
    image, target = ds[3]
    assert image.shape == (3, 32, 32)
    assert (image * 255).amax((1, 2)).tolist() == (image * 255).amin((1, 2)).tolist() == [3, 53, 103]
    assert ds.labels[target] == "cat"
    train, validation = datasets.load("cifar10", "train"), datasets.load("cifar10", "validation")
    assert (len(train), len(validation)) == (36, 4)
    first_planes = [int(part.pixels(i)[0, 0, 0]) for part in (train, validation) for i in range(len(part))]
    assert sorted(first_planes) == list(range(40))


def test_cifar10_as_jpeg_has_the_classes_of_its_file_names(root):
    layouts.cifar10_jpeg(root)
    ds = datasets.load("cifar10-jpeg", "test")
    image, target = ds[13]
    assert ds.labels[target] == "cat"
    assert ds.labels == layouts.CIFAR_CLASSES
    torch.testing.assert_close(image[:, 9, 9] * 255, torch.tensor([65.0, 100.0, 200.0]), atol=4, rtol=0)
    assert ds.caption == "CIFAR-10 (JPEG), test images"
    parts = [datasets.load("cifar10-jpeg", split) for split in ("train", "validation")]
    assert [len(part) for part in parts] == [36, 4]
    reds = [round(float(part[i][0][0, 5, 5]) * 51) for part in parts for i in range(len(part))]
    assert sorted(reds) == list(range(40))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "00007_horse.jpg").unlink(), "00008_ship.jpg is out of order"),
        (lambda folder: [file.unlink() for file in folder.glob("*")], "no .jpg file is there"),
    ],
)
def test_cifar10_as_jpeg_must_be_whole(root, change, reason):
    change(layouts.cifar10_jpeg(root) / "test")
    with pytest.raises(OSError, match="is incomplete or damaged") as refusal:
        datasets.load("cifar10-jpeg", "test")
    assert reason in str(refusal.value)
    assert "put its images there as {train,test}/{index:05d}_{class}.jpg" in str(refusal.value)


def test_a_cut_jpeg_is_named_when_it_is_read(root):
    file = layouts.cifar10_jpeg(root) / "test" / "00003_cat.jpg"
    damage(file, 100)
    with pytest.raises(OSError, match=r"00003_cat\.jpg is incomplete or damaged"):
        datasets.load("cifar10-jpeg", "test")[3]


def test_gtsrb_holds_back_whole_tracks_of_every_class(root):
    layouts.gtsrb(root)
    seen = {}
    for split in ("train", "validation"):
        images, targets = datasets.tensors(datasets.load("gtsrb", split), progress=False)
        assert images.shape[1:] == (3, 64, 64)
        assert torch.equal(images[:, 0, 0, 0].long(), targets)  # a class keeps its number though others are absent
        seen[split] = {tuple(image[:2, 32, 32].tolist()) for image in images}
        assert len(images) == 3 * len(seen[split])  # all frames of a track
    assert not seen["train"] & seen["validation"]
    assert len(seen["train"]) == 3 * 10
    assert [number for number, _ in sorted(seen["validation"])] == [0, 0, 2, 2, 42, 42]


def test_gtsrb_test_classes_come_from_the_official_table(root):
    layouts.gtsrb(root)
    ds = datasets.load("gtsrb", "test")
    assert ds.targets.tolist() == [7, 3, 42, 0]
    assert ds.pixels(2)[:, 5, 5].tolist() == [102, 0, 42]
    assert len(ds.labels) == len(set(ds.labels)) == 43
    assert (ds.labels[14], ds.labels[33], ds.labels[34]) == ("stop", "right", "left")


def test_voc_has_a_vector_of_twenty_labels_and_two_sizes(root):
    layouts.voc2012(root)
    parts = {split: datasets.load("voc2012", split) for split in datasets.SPLITS}
    for ds in parts.values():
        assert ds.labels == layouts.VOC_LABELS
        assert (ds.task, ds.targets.dtype) == ("multi-label", torch.uint8)
        for image, target in ds:
            assert image.shape == (3, 299, 299)
            i = round(float(image[0].mean()) * 51)
            assert sorted({i % 20, (i + 1) % 20}) == target.nonzero().flatten().tolist()
            assert i % 10 != 9  # difficult objects only
    assert sum(map(len, parts.values())) == 45
    smaller = datasets.load("voc2012-224", "test")
    assert torch.equal(smaller.targets, parts["test"].targets)
    assert smaller.pixels(0).shape == (3, 224, 224)


def test_voc_is_split_6_2_2_by_the_images_names(root):
    layouts.voc2012(root, 400)
    lengths = [len(datasets.load("voc2012", split)) for split in datasets.SPLITS]
    assert lengths == pytest.approx([216, 72, 72], abs=20)
    before = {file.name for file in photographs.voc2012(root / real.FOLDERS["voc2012"], "test")[2]}
    (root / "VOCdevkit").rename(root / "larger")
    layouts.voc2012(root, 100)
    after = {file.name for file in photographs.voc2012(root / real.FOLDERS["voc2012"], "test")[2]}
    assert after == {name for name in before if name < "2008_000100"}


def test_coco_has_its_official_sets_and_a_column_a_category(root):
    layouts.coco2014(root)
    ds = datasets.load("coco2014", "test")
    assert ds.labels == ["person", "car", "toothbrush"]
    assert ds.targets.tolist() == [[1, 1, 0]] * 5  # without the one that shows nothing
    assert [round(float(image[0].mean()) * 51) for image, _ in ds] == [0, 1, 3, 4, 5]
    assert ds.pixels(0).shape == (3, 224, 224)
    assert [len(datasets.load("coco2014", split)) for split in ("train", "validation")] == [17, 2]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("voc2012", lambda root: next(root.rglob("bird_trainval.txt")).unlink(), r"holds 19 files \*_trainval.txt"),
        ("voc2012", lambda root: damage(next(root.rglob("bird_trainval.txt")), 60), "bird_trainval.txt and aeroplane"),
        ("voc2012", lambda root: [f.unlink() for f in root.rglob("*.jpg")], r"images are missing in JPEGImages, first"),
        ("coco2014", lambda root: next(root.rglob("instances_val*")).unlink(), "instances_val2014.json is missing"),
        ("coco2014", lambda root: damage(next(root.rglob("instances_val*")), 99), "incomplete or damaged"),
        (
            "coco2014",
            lambda root: next(root.rglob("*val2014_*30.jpg")).unlink(),
            "1 of 5 images are missing in val2014",
        ),
    ],
)
def test_incomplete_photographs_give_one_line(root, name, change, reason):
    {"voc2012": layouts.voc2012, "coco2014": layouts.coco2014}[name](root)
    change(root)
    with pytest.raises(OSError, match=reason) as refusal:
        datasets.load(name, "test")
    assert f"`python -m companion.datasets {name}`" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", real.FOLDERS)
@pytest.mark.parametrize("there", [True, False], ids=["empty", "absent"])
def test_absent_data_name_the_folder_and_the_command(root, name, there):
    if there:
        (root / real.FOLDERS[name]).mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as refusal:
        datasets.load(name, "test")
    line = str(refusal.value)
    assert str(root / real.FOLDERS[name]) in line
    remedy = f"`python -m companion.datasets {name}`" if name in real.OFFICIAL else "put its images there as"
    assert remedy in line
    assert "DATA_ROOT" in line
    assert "\n" not in line


def damage(path, length):
    path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("length", [0, 2, 6, 15, 200])
def test_a_cut_mnist_file_gives_one_line(root, file, length):
    folder = layouts.mnist(root)
    kept = (folder / file).read_bytes()
    damage(folder / file, min(length, len(kept) - 1))
    refused("mnist", "test")


def test_mnist_files_that_do_not_fit_together_give_one_line(root):
    folder = layouts.mnist(root)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(layouts.idx(np.zeros(11, dtype=np.uint8)))
    refused("mnist", "test", "12 images but 11 labels")
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"<html>not found</html>")
    refused("mnist", "test")


def test_mnist_still_compressed_says_so(root):
    layouts.mnist(root, compressed=True)
    refused("mnist", "test", "train-images-idx3-ubyte is missing or still compressed")


def test_a_cifar10_file_with_another_md5_is_named(root, monkeypatch):
    folder = layouts.cifar10(root)
    layouts.accept_cifar10(monkeypatch, folder)
    damage(folder / "data_batch_4", 3_000)
    refused("cifar10", "test", "data_batch_4 has the wrong MD5")
    (folder / "data_batch_2").unlink()
    refused("cifar10", "train", "data_batch_2 is missing")


def test_a_damaged_cifar10_class_list_gives_one_line(root, monkeypatch):
    folder = layouts.cifar10(root)
    layouts.accept_cifar10(monkeypatch, folder)
    damage(folder / "batches.meta", 10)
    refused("cifar10", "test")


def test_incomplete_gtsrb_gives_one_line(root):
    folder = layouts.gtsrb(root)
    ds = datasets.load("gtsrb", "test")
    picture = folder / "GTSRB" / "Final_Test" / "Images" / "00002.ppm"
    damage(picture, 500)
    with pytest.raises(OSError, match=r"00002\.ppm is incomplete or damaged") as refusal:
        ds[2]
    assert "\n" not in str(refusal.value)
    assert ds[1][1] == 3
    picture.unlink()
    refused("gtsrb", "test", "1 of 4 images are missing, first 00002.ppm")
    (folder / "GT-final_test.csv").unlink()
    refused("gtsrb", "test", "GT-final_test.csv")
    (folder / "GT-final_test.csv").write_text("Filename\n00000.ppm\n")
    refused("gtsrb", "test", "ClassId")
    for file in (folder / "GTSRB" / "Training").rglob("*.ppm"):
        file.unlink()
    refused("gtsrb", "train")


def test_gtsrb_without_its_training_half_says_which_folder(root):
    (layouts.gtsrb(root) / "GTSRB" / "Training").rename(root / "elsewhere")
    refused("gtsrb", "train", "Training is missing")
    assert len(datasets.load("gtsrb", "test")) == 4


def refused(name, split, reason=""):
    with pytest.raises(OSError, match="is incomplete or damaged") as refusal:
        datasets.load(name, split)
    line = str(refusal.value)
    assert reason in line
    assert f"`python -m companion.datasets {name}`" in line
    assert "\n" not in line


if layouts.SHARED.is_dir():  # small real data that may lie beside the checkout

    def unpack(archive, root):
        with tarfile.open(layouts.SHARED / f"{archive}.tar.xz") as tar:
            tar.extractall(root, filter="data")

    def test_real_cifar10_rows(root, monkeypatch):
        unpack("cifar10-exact-160", root)
        (root / "cifar10-exact-160" / "cifar-10-batches-py").rename(root / "cifar-10-batches-py")
        layouts.accept_cifar10(monkeypatch, root / "cifar-10-batches-py")
        ds = datasets.load("cifar10", "test")
        assert ds.labels == layouts.CIFAR_CLASSES
        assert [ds.labels[number] for number in ds.targets[:4]] == ["cat", "ship", "ship", "airplane"]
        images, _ = datasets.stack(datasets.load("cifar10", "train"), range(700))
        torch.testing.assert_close(images.mean((0, 2, 3)), torch.tensor([0.491, 0.482, 0.447]), atol=0.03, rtol=0)

    def test_real_gtsrb_signs(root):
        unpack("gtsrb", root)
        parts = {split: datasets.load("gtsrb", split) for split in datasets.SPLITS}
        assert len(parts["train"]) + len(parts["validation"]) == 1_776
        assert len(parts["test"]) == 3_000
        for ds in parts.values():
            assert ds.targets.unique().tolist() == list(range(43))
        stop = (parts["test"].targets == 14).nonzero()[:20, 0]
        red, green, blue = datasets.stack(parts["test"], stop)[0].mean((0, 2, 3))
        assert red > 1.1 * max(green, blue)

    def test_real_photographs(root):
        unpack("coco", root)
        coco = root / "coco"
        (coco / "val2017").rename(coco / "val2014")
        (coco / "annotations" / "instances_val2017.json").rename(coco / "annotations" / "instances_val2014.json")
        ds = datasets.load("coco2014", "test")
        assert len(ds.labels) == 80
        assert (ds.labels[0], ds.labels[-1]) == ("person", "toothbrush")
        assert (ds.targets.sum(dim=0) > 0).sum() == 65
        assert datasets.stack(ds, range(3))[0].shape == (3, 3, 224, 224)

    def test_real_lists_of_voc(root):
        unpack("voc", root)
        folder = root / "voc" / "VOCdevkit-2007-labels" / "VOC2007"
        lists = folder / "ImageSets" / "Main"
        (folder / "JPEGImages").mkdir(exist_ok=True)
        for line in (lists / "cat_trainval.txt").read_text().splitlines():
            (folder / "JPEGImages" / f"{line.split()[0]}.jpg").touch()
        parts = {split: photographs.voc2012(folder, split) for split in datasets.SPLITS}
        shown = sum(vectors[:, 7].sum() for _, vectors, _ in parts.values())
        assert shown == sum(line.split()[1] == "1" for line in (lists / "cat_trainval.txt").read_text().splitlines())
        assert [round(len(files) / 5011, 1) for _, _, files in parts.values()] == [0.6, 0.2, 0.2]
