"""Composition: bitwise for one label, in the ball, never upwards, without a look at images."""

import pytest
import torch

from flipbook.universal import Basis

NAMES = ("cat", "dog", "bird", "tree", "house")


def basis(dtype=torch.float32, scale=0.05):
    g = torch.Generator().manual_seed(0)
    vectors = (scale * torch.randn(3, 3, 4, 4, generator=g, dtype=dtype)).clamp(-0.05, 0.05)
    return Basis((1, 2, 4), vectors, 0.05, NAMES, "test")


@pytest.mark.parametrize("projection", ["radial", "clip"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_label_is_its_vector_bitwise(dtype, projection):
    for scale in (0.05, 0.001):
        one = basis(dtype, scale)
        assert torch.equal(one.compose("bird", projection=projection), one.vectors[1])
        mixed = one.compose_all([(1, 2, 4), (4,)], projection=projection)
        assert torch.equal(mixed[1], one.vectors[2])


def test_sum_and_both_projections():
    one = basis()
    w = one.vectors[0] + one.vectors[2]
    torch.testing.assert_close(one.compose(["dog", "house"]), w * min(1, 0.05 / w.abs().max().item()))
    assert torch.equal(one.compose([1, 4], projection="clip"), w.clamp(-0.05, 0.05))
    for projection in ("radial", "clip"):
        v = one.compose_all([(1, 2), (1, 2, 4)], projection=projection)
        assert (v.abs() <= torch.tensor(0.05)).all()


def test_never_scaled_up():
    small = basis(scale=1e-3)
    assert torch.equal(small.compose([1, 2]), small.vectors[0] + small.vectors[1])


def test_order_and_form_of_a_set_do_not_matter():
    one, mask = basis(), torch.tensor([0, 1, 1, 0, 1]).bool()
    expected = one.compose(mask)
    for omega in ([1, 2, 4], (4, 2, 1), {"house", "dog", "bird"}):
        assert torch.equal(one.compose(omega), expected)


def test_cosines():
    one = basis()
    assert torch.allclose(one.cosines().diagonal(), torch.ones(3))
    assert torch.allclose(one.cosines(one), one.cosines())


def test_errors():
    with pytest.raises(ValueError, match=r"no vector was learnt for \{cat\}: test has dog, bird, house"):
        basis().compose(["cat", "dog"])
    with pytest.raises(ValueError, match="projection is 'sphere'"):
        basis().compose("dog", projection="sphere")
