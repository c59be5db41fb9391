import matplotlib.pyplot as plt
import pytest
import torch

from companion.report import figures


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_the_grid_draws_original_attacked_and_signed_difference():
    originals = torch.full((2, 1, 8, 8), 0.5)
    attacked = originals.clone()
    attacked[0, 0, 0, 0] += 0.02
    attacked[0, 0, 1, 1] -= 0.01
    figure = figures.image_grid(originals, {"JMA": attacked}, labels=["a", "b"], captions={"JMA": ["c\nd", ""]})
    axes = figure.axes
    assert len(axes) == 6
    assert [axis.get_title() for axis in axes[:3]] == ["original", "JMA", "difference x 50"]
    difference = axes[2].images[0].get_array()
    assert difference[0, 0, 0] == pytest.approx(1.0)
    assert difference[1, 1, 0] == pytest.approx(0.25)
    assert difference[5, 5, 0] == pytest.approx(0.5)
    assert axes[1].get_xlabel() == "c\nd"


@pytest.mark.parametrize(("change", "factor"), [(1.0, 1), (0.5, 2), (0.03, 20), (0.004, 200), (0.0, 1)])
def test_one_round_factor_brings_the_largest_change_to_full_range(change, factor):
    originals = torch.zeros(1, 3, 2, 2)
    assert figures.amplification(originals, [originals + change / 2, originals + change]) == factor


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"JMA: shape \(1, 3, 4, 4\), must be the originals' \(2, 3, 4, 4\)"):
        figures.image_grid(torch.zeros(2, 3, 4, 4), {"JMA": torch.zeros(1, 3, 4, 4)})
