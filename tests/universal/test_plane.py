"""The plane of two universals on an affine model, where every grid point is known."""

import math

import pytest
import torch

from flipbook.universal import Basis, plane
from tests.universal.small import affine_pool


def basis_of(pool, labels=(0, 1, 2)):
    g = torch.Generator().manual_seed(0)
    vectors = 0.05 * (2 * torch.rand(len(labels), *pool.shape, generator=g, dtype=torch.float64) - 1)
    return Basis(labels, vectors, 0.05, pool.names, "test")


def test_grids_by_hand():
    pool = affine_pool()
    basis = basis_of(pool)
    result = plane(basis, pool, [(1, 0)], points=5, progress=False, chunk=7)
    u, v = (basis.vectors[k] / basis.vectors[k].abs().max() for k in (0, 1))
    index = pool.containing((0, 1))
    for row, y in enumerate(result.axis.tolist()):
        for column, x in enumerate(result.axis.tolist()):
            a = pool.net.model((pool.images[index] + x * u + y * v).clamp(0, 1))[:, :2]
            assert result.confidence[row, column].item() == pytest.approx((1 - a.sigmoid()).mean().item())
            assert result.both[row, column].item() == pytest.approx((a <= 0).all(dim=1).double().mean().item())
            assert result.norm[row, column].item() == pytest.approx((x * u + y * v).abs().max().item())
    assert result.images == len(index)
    torch.testing.assert_close(result.axis, torch.linspace(-0.02, 0.1, 5).double())


def test_contour_lies_on_the_ball():
    pool = affine_pool()
    basis = basis_of(pool)
    one = plane(basis, pool, [(0, 1)], points=3, progress=False)
    u, v = (basis.vectors[k] / basis.vectors[k].abs().max() for k in (0, 1))
    for x, y in one.ball[::30].tolist():
        assert (x * u + y * v).abs().max().item() == pytest.approx(0.05)
    assert one.ball[0].tolist() == pytest.approx([0.05, 0])
    quarter = len(one.ball) // 4
    assert one.ball[quarter].tolist() == pytest.approx([0, 0.05], abs=1e-12)


def test_inside_marks_the_points_of_the_ball():
    pool = affine_pool()
    result = plane(basis_of(pool), pool, [(0, 1)], points=13, progress=False)
    clear = (result.norm - 0.05).abs() > 0.004  # the contour has corners every two degrees
    assert torch.equal(result.inside[clear], (result.norm <= 0.05)[clear])
    assert math.isclose(result.axis[2], 0, abs_tol=1e-12)
    assert result.inside[2, 2]


def test_means_over_pairs_and_images_at_most():
    pool = affine_pool()
    basis = basis_of(pool)
    before = pool.net.forwards
    single = [plane(basis, pool, [pair], points=3, images=4, progress=False) for pair in ((0, 1), (1, 2))]
    assert pool.net.forwards - before == 9 * sum(each.images for each in single)
    together = plane(basis, pool, [(0, 1), (1, 2)], points=3, images=4, progress=False)
    for quantity in ("confidence", "both", "norm", "ball"):
        mean = sum(getattr(each, quantity) for each in single) / 2
        torch.testing.assert_close(getattr(together, quantity), mean)


def test_errors():
    pool = affine_pool()
    basis = basis_of(pool)
    with pytest.raises(ValueError, match=r"\{0, 1, 2\} has 3 labels: a plane needs two"):
        plane(basis, pool, [(0, 1, 2)])
    with pytest.raises(ValueError, match="points is 1: it must be a whole number, 2 or above"):
        plane(basis, pool, [(0, 1)], points=1)
    with pytest.raises(ValueError, match="the basis is for other labels than the pool's: label 0 is '0' there and 'a'"):
        plane(basis, affine_pool(names="abcdef"), [(0, 1)])
    basis.vectors[0] = 0
    with pytest.raises(ValueError, match="is 0: it spans no plane"):
        plane(basis, pool, [(0, 1)], progress=False)
