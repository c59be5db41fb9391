import sys

import numpy as np
import pytest
from PIL import Image

from companion.datasets import packaged


def test_only_the_test_split_shows_the_held_out_photographs():
    train, validation, test = (packaged.photographs(split, 96) for split in ("train", "validation", "test"))
    shown = {image.tobytes() for image in train}
    assert shown == {image.tobytes() for image in validation}
    held_out = {image.tobytes() for image in test} - shown
    assert len(held_out) == 2 * len(packaged.HELD_OUT_PHOTOGRAPHS) > 0
    assert shown < {image.tobytes() for image in test}


def test_photographs_are_soft_and_come_with_their_mirror_images():
    image, mirrored = packaged.photographs("train", 96)[:2]
    assert min(image.size) == 96
    assert (np.asarray(image)[:, ::-1] == np.asarray(mirrored)).all()
    low, high = image.convert("L").getextrema()
    assert low >= 128 * (1 - packaged.CONTRAST) - 1
    assert high <= 128 + 128 * packaged.CONTRAST


def test_a_crop_lies_inside_its_photograph():
    gradient = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).convert("RGB")
    left = np.asarray(packaged.crop([gradient], 32, [0, 0, 0, 0]))
    right = np.asarray(packaged.crop([gradient], 32, [0, 0, 0.999999, 0.999999]))
    assert (left[0, :, 0] == np.arange(32)).all()
    np.testing.assert_allclose(right[0, :, 0], np.arange(168, 200), atol=1)
    whole = np.asarray(packaged.crop([gradient], 32, [0, 0.999999, 0, 0]))
    assert whole.shape == (32, 32, 3)
    assert whole[0, -1, 0] > 95


def test_a_file_that_the_package_lacks_is_named():
    with pytest.raises(FileNotFoundError, match=r"data/nothing\.png is missing.*reinstall 'skimage'.*environment\.yml"):
        packaged.find("skimage", "data/nothing.png")


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(FileNotFoundError, match=r"package 'no_such_package' is not installed.*environment"):
        packaged.find("no_such_package", "a.png")


def test_a_damaged_photograph_or_font_is_named(tmp_path, monkeypatch):
    package = tmp_path / "broken_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("broken_package", None)
    monkeypatch.setattr(packaged, "TRAINING_PHOTOGRAPHS", (("broken_package", "cat.png"),))
    with pytest.raises(OSError, match=r"cat\.png cannot be read as an image .*reinstall"):
        packaged.photographs("validation", 33)
    monkeypatch.setattr(packaged, "find", lambda package, file: tmp_path / "broken_package" / "cat.png")
    with pytest.raises(OSError, match=r"cat\.png cannot be read as a font .*reinstall 'matplotlib'"):
        packaged.font(7)
