import pytest
import torch

from flipbook.sparse import support


@pytest.fixture
def r():
    change = torch.zeros(2, 1, 4, 4)
    change[0, 0, 0, :3] = torch.tensor([0.5, -0.7, 1e-7])
    change[1, 0, 3, 3] = -0.1
    return change


def test_rounding_is_no_change_and_signs_do_not_matter(r):
    assert support.support(r).sum(dim=(1, 2, 3)).tolist() == [2, 1]
    largest = support.strongest(r, 1 / 16)
    assert largest.sum(dim=(1, 2, 3)).tolist() == [1, 1]
    assert largest[0, 0, 0, 1]
    assert largest[1, 0, 3, 3]
    with pytest.raises(ValueError, match="share is 0: it must be above 0"):
        support.strongest(r, 0)


def test_superpixels_are_counted_and_weighed(r):
    halves = (torch.arange(4) // 2).repeat(4, 1).expand(2, 4, 4)  # left 0, right 1
    assert support.touched(r, halves).tolist() == [1, 1]
    r[0, 0, 1, 3] = 0.2
    assert support.touched(r, halves).tolist() == [2, 1]
    assert support.group_norm(r, halves).tolist() == pytest.approx([2**0.5 + 1, 1])


def test_quarters_are_by_spread_or_level(r):
    images = torch.full((2, 1, 8, 8), 0.5)
    images[:, :, 4:, ::2] = 1.0  # striped below
    images[:, :, :2] = 0.1  # dark above
    marked = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    marked[0, 0, 0, :] = True
    marked[1, 0, 6, :] = True
    assert support.share_in_quarter(marked, images, "dark").tolist() == [1, 0]
    assert support.share_in_quarter(marked, images, "flat").tolist() == [1, 0]
    with pytest.raises(ValueError, match="choose one of 'flat', 'dark'"):
        support.share_in_quarter(marked, images, "bright")
