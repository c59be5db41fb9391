"""Names, splits and the shape of what every embedded set gives."""

import pytest
import torch

from companion import datasets

EMBEDDED = {
    "pictograms20": (3, 64, 20, "VOC 2012"),
    "pictograms80": (3, 64, 80, "MS-COCO"),
    "pictograms81": (3, 64, 81, "NUS-WIDE"),
    "pictograms268": (3, 64, 268, "Open Images"),
    "crowds268": (3, 96, 268, "Open Images, images with many labels"),
    "pictograms10": (3, 32, 10, "CIFAR-10"),
    "pictograms238": (3, 48, 238, "ImageNet"),
    "signs43": (3, 32, 43, "GTSRB"),
    "signs32": (3, 32, 32, "GTSRB"),
    "digits": (1, 28, 10, "MNIST"),
}
MULTI = ("pictograms20", "pictograms80", "pictograms81", "pictograms268", "crowds268")


def test_names_are_the_embedded_and_the_real_sets():
    photographs = ["voc2012", "voc2012-224", "coco2014"]
    assert datasets.names() == [*EMBEDDED, "mnist", "cifar10", "gtsrb", *photographs, "cifar10-jpeg"]


@pytest.mark.parametrize("name", EMBEDDED)
@pytest.mark.parametrize("split", datasets.SPLITS)
def test_every_embedded_set_keeps_the_contract(name, split):
    channels, side, classes, stands_for = EMBEDDED[name]
    ds = datasets.load(name, split)
    image, target = ds[len(ds) - 1]
    assert (ds.name, ds.split, ds.stands_for) == (name, split, stands_for)
    assert stands_for in ds.caption
    assert len(ds.labels) == len(set(ds.labels)) == classes
    assert image.shape == (channels, side, side)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert torch.equal(target, ds.targets[-1])
    assert len(ds) == len(ds.targets)
    if name != "digits":
        assert len(ds) == {"train": 16_000, "validation": 2_000, "test": 2_000}[split]
    if name in MULTI:
        assert ds.task == "multi-label"
        assert ds.targets.dtype == torch.uint8
        assert ds.targets.shape == (len(ds), classes)
        assert ds.targets.unique().tolist() == [0, 1]
    else:
        assert ds.task == "single-label"
        assert ds.targets.dtype == torch.int64
        assert ds.targets.unique().tolist() == list(range(classes))


@pytest.mark.parametrize("name", ["pictograms80", "pictograms10", "signs43"])
def test_an_image_depends_on_set_split_and_index_alone(name):
    forwards, backwards = datasets.load(name, "test"), datasets.load(name, "test")
    images = [forwards.pixels(index) for index in range(6)]
    for index in (5, 3, 0, 4, 2, 1):
        assert torch.equal(backwards.pixels(index), images[index])
    assert not any(torch.equal(images[0], image) for image in images[1:])
    assert not torch.equal(datasets.load(name, "validation").pixels(0), images[0])
    assert not torch.equal(datasets.load(name, "validation").targets, forwards.targets)


@pytest.mark.parametrize(
    ("name", "split", "line"),
    [
        ("pictogram20", "test", "unknown data set 'pictogram20': did you mean 'pictograms20'?"),
        ("CIFAR-10", "test", "unknown data set 'CIFAR-10': did you mean 'cifar10'?"),
        ("signs43", "val", "unknown split of signs43 'val': did you mean 'validation'?"),
        ("signs43", None, "unknown split of signs43 None: did you mean"),
        ("digits", "Test", "did you mean 'test'? There are train, validation, test"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_right_one(name, split, line):
    with pytest.raises(ValueError, match="unknown") as refusal:
        datasets.load(name, split)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_digest_of_a_real_set_is_refused():
    with pytest.raises(ValueError, match="unknown embedded data set 'mnist'"):
        datasets.digest("mnist")
