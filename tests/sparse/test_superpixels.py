"""Superpixels: numbering, the image's own content, and images without any."""

import pytest
import torch

from flipbook.sparse.superpixels import superpixels


def halves():
    """Left half dark, right half bright, with a little noise."""
    image = 0.1 + 0.02 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[..., 16:] += 0.7
    return image


def test_labels_are_numbered_without_gaps():
    coarse = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    images = torch.nn.functional.interpolate(coarse, (24, 32), mode="bilinear")
    labels = superpixels(images, 30)
    assert labels.shape == (2, 24, 32)
    assert labels.dtype == torch.int64
    for each in labels:
        assert each.unique().tolist() == list(range(int(each.max()) + 1))
        assert 10 <= int(each.max()) + 1 <= 60


def test_no_superpixel_crosses_an_edge_and_more_are_smaller():
    few, many = (superpixels(halves(), n)[0] for n in (8, 60))
    for labels in (few, many):
        assert not set(labels[:, :16].unique().tolist()) & set(labels[:, 16:].unique().tolist())
    assert many.max() > few.max()


def test_an_image_does_not_depend_on_its_neighbours():
    images = torch.cat([halves(), halves().flip(3), torch.rand(1, 3, 32, 32)])
    assert torch.equal(superpixels(images, 20)[1:2], superpixels(images[1:2], 20))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_image_of_one_colour_gets_a_regular_grid(channels, value):
    labels = superpixels(torch.full((1, channels, 32, 32), value), 60)[0]
    sizes = labels.flatten().bincount()
    assert len(sizes) > 30
    assert sizes.max() <= 3 * sizes.min()


def test_an_empty_batch():
    assert superpixels(torch.rand(0, 3, 8, 8)).shape == (0, 8, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"segments": 0}, "segments is 0"), ({"segments": 2.5}, "segments is 2"), ({"compactness": -1}, "compact")],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        superpixels(halves(), **options)
