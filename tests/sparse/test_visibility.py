"""Visibility weights against the definition, window by window."""

import pytest
import torch

from flipbook.sparse.visibility import WEIGHTINGS, visibility_weights


def images(n=2, channels=2):
    return torch.rand(n, channels, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("weighting", ["variance", "variance-mean"])
@pytest.mark.parametrize("floor", [1e-4, 1e-2])
def test_equals_the_definition(weighting, floor):
    x = images()
    w = visibility_weights(x, weighting, floor)
    for n in range(2):
        for c in range(2):
            raw = torch.empty(5, 6).double()
            for i in range(5):
                for j in range(6):
                    window = x[n, c, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
                    σ = window.std(correction=0)
                    raw[i, j] = 1 / (σ * (window.mean() if weighting == "variance-mean" else 1) + floor)
            expected = (raw - raw.min()) / (raw.max() - raw.min())
            torch.testing.assert_close(w[n, c], expected, rtol=0, atol=1e-10)


def test_flat_places_weigh_most():
    x = images(1, 1)
    x[..., :3, :3] = 0.4
    w = visibility_weights(x)
    assert w[0, 0, 0, 0] == 1
    assert w[0, 0, 1, 1] > 0.999
    assert (w.flatten().sort().values[:-9] < 0.05).all()  # the drawback of the small floor
    assert visibility_weights(x, floor=0.1).median() > 0.1


def test_dark_places_weigh_more_with_the_mean():
    ramp = 0.05 + 0.9 * torch.arange(12, dtype=torch.float64).expand(1, 1, 6, 12) / 11
    x = ramp + 0.02 * (torch.arange(6 * 12).view(1, 1, 6, 12) % 2)
    w = visibility_weights(x, "variance-mean", 1e-2)[0, 0, 1:-1]
    assert (w[:, 2] > w[:, 9]).all()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
def test_a_channel_of_one_value_has_weight_one(weighting, value):
    x = images(1, 3)
    x[:, 1] = value
    w = visibility_weights(x, weighting)
    assert (w[:, 1] == 1).all()
    assert w.min() >= 0
    assert w.max() <= 1
    if weighting != "uniform":
        assert (w[:, 0].amin(), w[:, 0].amax()) == (0, 1)


def test_uniform_is_one_and_types_stay():
    x = images().float()
    assert torch.equal(visibility_weights(x, "uniform"), torch.ones_like(x))
    assert visibility_weights(x).dtype == torch.float32
    assert visibility_weights(x[:0]).shape == x[:0].shape


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="weighting is 'flat'"):
        visibility_weights(images(), "flat")
    with pytest.raises(ValueError, match="floor is 0"):
        visibility_weights(images(), floor=0)
