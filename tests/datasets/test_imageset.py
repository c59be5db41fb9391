import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from companion import datasets

INDICES = [3, 0, 41, 3, -1]


@pytest.fixture(params=["pictograms20", "signs43", "digits"])
def ds(request):
    return datasets.load(request.param, "test")


def test_stack_is_the_items_in_this_order(ds):
    images, targets = datasets.stack(ds, INDICES)
    assert images.dtype == torch.float32
    for image, target, index in zip(images, targets, INDICES, strict=True):
        assert torch.equal(image, ds[index][0])
        assert torch.equal(target, ds[index][1])


def test_tensors_are_the_items_in_eight_bits(ds):
    images, targets = datasets.tensors(ds, INDICES, progress=False)
    assert images.dtype == torch.uint8
    assert torch.equal(torch.stack([ds[index][0] for index in INDICES]) * 255, images.float())
    assert torch.equal(targets, ds.targets[INDICES])


def test_tensors_take_the_whole_split_by_default(capsys):
    ds = datasets.load("digits", "validation")
    images, targets = datasets.tensors(ds)
    assert len(images) == len(targets) == len(ds)
    assert torch.equal(images[-1], ds.pixels(-1))
    assert "drawing digits validation" in capsys.readouterr().err


@pytest.mark.parametrize(
    "indices",
    [range(2, 4), (2, 3), np.array([2, 3]), torch.tensor([2, 3]), (index for index in (2, 3)), {2: 0, 3: 0}.keys()],
)
def test_any_whole_numbers_are_indices(indices):
    ds = datasets.load("digits", "test")
    assert torch.equal(datasets.stack(ds, indices)[1], ds.targets[2:4])


@pytest.mark.parametrize("indices", [[], [0.5], [True, False], torch.ones(360, dtype=torch.bool), [[0, 1]], ["a"]])
def test_anything_else_is_refused_in_one_line(indices):
    ds = datasets.load("digits", "test")
    with pytest.raises(ValueError, match=r"^indices into digits test are .*whole number in 0 \.\. \d+") as refusal:
        datasets.stack(ds, indices)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("index", [2_000, -2_001])
def test_an_index_outside_the_split_is_refused(index):
    ds = datasets.load("signs43", "test")
    with pytest.raises(IndexError, match=rf"image {index} of signs43 test: it must lie in 0 \.\. 1999"):
        ds[index]


def test_a_loader_with_workers_gives_the_same_images():
    ds = datasets.load("pictograms20", "test")
    images, targets = next(iter(DataLoader(ds, batch_size=4, num_workers=1)))
    assert torch.equal(images, datasets.stack(ds, range(4))[0])
    assert torch.equal(targets, ds.targets[:4])


def test_a_set_survives_pickling(ds):
    assert torch.equal(pickle.loads(pickle.dumps(ds)).pixels(7), ds.pixels(7))


def test_a_set_tells_what_it_is():
    assert "pictograms20, test: 2000 images, 20 labels" in repr(datasets.load("pictograms20", "test"))
