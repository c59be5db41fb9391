import numpy as np
import pytest

from companion.datasets import glyphs


def test_ink_fills_its_box():
    ink = np.asarray(glyphs.ink("♞"))
    assert max(ink.shape) == glyphs.MASTER
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert edge.max() > 0


def test_a_blank_has_no_ink():
    with pytest.raises(ValueError, match="no ink for ' '"):
        glyphs.ink(" ")


@pytest.mark.parametrize("size", [12, 20, 32])
def test_a_stamp_has_its_size_and_a_rim_of_one_pixel(size):
    outline, inside = (np.asarray(layer).astype(int) for layer in glyphs.stamp("■", size, 0, 1.0))
    assert outline.shape == inside.shape == (size + 2, size + 2)
    assert (inside[2:-2, 2:-2] > 200).all()
    assert (outline[[0, -1]] > 128).all()  # the rim repeats its neighbour, which is a little soft
    assert (outline + inside <= 255).all()
    assert outline[3:-3, 3:-3].max() < 30


def test_opacity_bounds_both_masks():
    outline, inside = (np.asarray(layer) for layer in glyphs.stamp("★", 24, 10, 0.5))
    assert inside.max() == 128
    assert outline.max() <= 128


def test_a_turned_stamp_is_another_one():
    upright, turned = (np.asarray(glyphs.stamp("♞", 24, angle, 1.0)[1]) for angle in (0, 15))
    assert upright.shape != turned.shape


@pytest.mark.parametrize(("u", "edge"), [((0.16, 0.0, 0.99), glyphs.DARK), ((0.66, 0.99, 0.0), glyphs.LIGHT)])
def test_the_outline_contrasts_with_the_colour(u, edge):
    assert glyphs.paint(u)[1] == edge
