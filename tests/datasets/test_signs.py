import numpy as np
import pytest

from companion import datasets
from companion.datasets import labels, signs


def test_signs32_are_the_first_classes_of_signs43():
    assert datasets.load("signs32", "test").labels == datasets.load("signs43", "test").labels[:32]


def test_classes_are_equally_frequent():
    counts = np.bincount(datasets.load("signs43", "train").targets)
    assert counts.min() > 0.75 * 16_000 / 43
    assert counts.max() < 1.3 * 16_000 / 43


def test_no_two_signs_look_alike():
    faces = [np.asarray(signs.stamp(sign, 30, 0.0)[0]).astype(float) for sign in range(43)]
    distances = [np.abs(a - b).mean() for i, a in enumerate(faces) for b in faces[:i]]
    assert min(distances) > 2


@pytest.mark.parametrize("sign", range(43))
def test_a_face_shows_the_colour_of_its_sign(sign):
    colours, mask = (np.asarray(layer).astype(int) for layer in signs.face(sign))
    assert colours.shape[:2] == mask.shape == (signs.FACE, signs.FACE)
    rim = {"red": signs.RED, "blue": signs.BLUE, "yellow": signs.YELLOW, "white": signs.WHITE}
    wanted = rim[labels.catalogue()["signs43"][sign]["colour"]]
    near = np.abs(colours - wanted).max(2) < 12
    assert (near & (mask > 128)).sum() > 0.2 * (mask > 128).sum()
    assert 0.35 < (mask > 128).mean() < 1


@pytest.mark.parametrize("size", [20, 30])
@pytest.mark.parametrize("angle", [-9.0, 0.0, 9.0])
def test_a_stamp_fits_into_the_image(size, angle):
    colours, mask = signs.stamp(3, size, angle)
    assert colours.size == mask.size
    assert size <= mask.width <= signs.SIDE


def test_some_scenes_are_dim():
    images, _ = datasets.stack(datasets.load("signs43", "test"), range(200))
    brightest = images.amax((1, 2, 3))
    assert brightest.min() < 0.5
    assert brightest.max() > 0.95
