import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from companion import datasets
from companion.datasets import digits


def test_splits_are_disjoint_and_complete():
    _, classes = digits.pictures()
    rows = np.concatenate([digits.split_indices(classes, split) for split in datasets.SPLITS])
    assert sorted(rows) == list(range(1797))


@pytest.mark.parametrize(("split", "share"), [("train", 0.7), ("validation", 0.1), ("test", 0.2)])
def test_splits_treat_every_class_alike(split, share):
    _, classes = digits.pictures()
    for digit in range(10):
        members = (classes == digit).sum()
        assert abs((datasets.load("digits", split).targets == digit).sum() - share * members) <= 1.5


def test_the_split_rule_is_the_stated_one():
    classes = np.array([0] * 12 + [1] * 4)
    assert digits.split_indices(classes, "test").tolist() == [3, 8, 15]
    assert digits.split_indices(classes, "validation").tolist() == [6]


def test_images_are_the_handwritten_ones_enlarged():
    pictures, classes = digits.pictures()
    source = load_digits()
    assert (classes == source.target).all()
    assert pictures[:, :4].max() == pictures[:, -4:].max() == pictures[:, :, :4].max() == pictures[:, :, -4:].max() == 0
    for row in (0, 700, 1796):
        inner = torch.from_numpy(pictures[row, 4:-4, 4:-4, 0].astype(np.float32))[None]
        small = torch.nn.functional.adaptive_avg_pool2d(inner, 8)[0].numpy()
        assert np.corrcoef(small.ravel(), source.images[row].ravel())[0, 1] > 0.96  # the averages of an enlarged pixel


def test_changing_an_image_changes_no_later_one():
    ds = datasets.load("digits", "test")
    before = ds.pixels(5).clone()
    ds.pixels(5).zero_()
    ds[5][0].zero_()
    assert torch.equal(datasets.load("digits", "test").pixels(5), before)
