"""Galleries, curves and planes draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from companion.papers.jma.figure_01 import two_planes
from companion.report.curves import success_and_distortion
from companion.report.gallery import gallery, strips


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_gallery_shows_every_image_with_its_text():
    figure = gallery(torch.rand(5, 3, 8, 8), ["a", "b\nc", "d", "e", "f"], columns=3)
    shown = [axis for axis in figure.axes if axis.get_images()]
    assert [axis.get_xlabel() for axis in shown] == ["a", "b\nc", "d", "e", "f"]
    with pytest.raises(ValueError, match="texts: 1 entries, must be one for each of the 2 images"):
        gallery(torch.rand(2, 3, 8, 8), ["a"])


def test_strips_take_images_of_different_sizes():
    rows = [
        ("big", {"one": (torch.rand(3, 9, 9), "x"), "two": (torch.rand(3, 9, 9), "")}),
        ("small", {"one": (torch.rand(1, 4, 4), "y")}),
    ]
    figure = strips(rows)
    assert figure.axes[0].get_ylabel() == "big"
    assert [axis.get_title() for axis in figure.axes[:2]] == ["one", "two"]


def test_curves_end_at_the_share_that_was_reached():
    line = {"parameters": "p", "mse": 1e-4, "forwards": 50, "backwards": 50}
    rows = pd.DataFrame(
        [line | {"method": "JMA", "reached": True, "first_success": n} for n in (5, 9)]
        + [line | {"method": "LOTS", "reached": n < 8, "first_success": n if n < 8 else -1} for n in (7, 8)]
    )
    left, right = success_and_distortion(rows).axes
    curves = {curve.get_label(): curve.get_xydata() for curve in left.get_lines()}
    np.testing.assert_allclose(curves["JMA p"], [[1, 0], [5, 0.5], [9, 1], [100, 1]])
    np.testing.assert_allclose(curves["LOTS p"], [[1, 0], [7, 0.5], [100, 0.5]])
    assert [label.get_text() for label in right.get_yticklabels()] == ["JMA p", "LOTS p"]


def test_mse_axis_has_whole_decades_and_labels_at_their_ends_only():
    line = {"method": "JMA", "parameters": "p", "reached": True, "first_success": 5, "forwards": 5, "backwards": 5}
    _, right = success_and_distortion(pd.DataFrame([line | {"mse": mse} for mse in (3e-5, 6e-5)])).axes
    np.testing.assert_allclose(right.get_xlim(), [1e-5, 1e-4])
    assert not any(label.get_text() for label in right.get_xticklabels(minor=True))


def test_planes_show_both_steps():
    J = torch.tensor([[2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    x0 = torch.full((1, 1, 1, 2), 0.25, dtype=torch.float64)
    δ = torch.tensor([0.3, 0.2], dtype=torch.float64)
    figure = two_planes(lambda x: x.flatten(1) @ J.T - 1, x0, J, J @ δ, J @ (2 * δ), δ, 2 * δ)
    texts = [text.get_text() for axis in figure.axes for text in axis.get_legend().get_texts()]
    assert any(f"{δ.norm():.3f}" in text for text in texts)
    assert any(f"{2 * δ.norm():.3f}" in text for text in texts)
