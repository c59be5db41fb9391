"""Both closed forms against loops and against all supports."""

from itertools import combinations

import pytest
import torch

from flipbook.solvers.sparse_box import cross_plane, nearest_sparse


def planes(n=20, m=12, seed=0, Δ=0.1):
    """Points in boxes that are cut by [0, 1], some entries without room, some without slope."""
    g = torch.Generator().manual_seed(seed)
    x0 = torch.rand(n, m, generator=g, dtype=torch.float64)
    x0[:, ::5] = x0[:, ::5].round()
    low, high = (x0 - Δ).clamp(min=0), (x0 + Δ).clamp(max=1)
    x = low + torch.rand(n, m, generator=g, dtype=torch.float64) * (high - low)
    x[:, 1] = high[:, 1]
    w = torch.randn(n, m, generator=g, dtype=torch.float64)
    w[:, 3] = 0
    return x, w, low, high


def most(x, w, low, high):
    return (w.clamp(min=0) * (high - x) + w.clamp(max=0) * (low - x)).sum(dim=1)


def one_by_one(x, w, gain, low, high, offset):
    """SparseFool's linear solver as a loop over the entries of one point."""
    y, unused, gained = x.clone(), w.abs(), 0.0
    while gained < gain - 1e-12 and unused.max() > 0:
        d = int(unused.argmax())
        y[d] = (y[d] + w[d].sign() * (gain + offset - gained) / w[d].abs()).clamp(low[d], high[d])
        unused[d] = 0
        gained = float(w @ (y - x))
    return y


@pytest.mark.parametrize("offset", [0.0, 1e-3])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.95, 1.5])
def test_equals_moving_one_entry_at_a_time(share, offset):
    x, w, low, high = planes()
    gain = share * most(x, w, low, high)
    y = cross_plane(x, w, gain, low, high, offset)
    loop = torch.stack([one_by_one(*(each[i] for each in (x, w, gain, low, high)), offset) for i in range(len(x))])
    torch.testing.assert_close(y, loop, atol=1e-12, rtol=0)
    assert torch.equal(y != x, loop != x)
    if share < 1:
        assert ((w * (y - x)).sum(dim=1) >= gain - 1e-12).all()


def test_no_fewer_entries_would_do():
    g = torch.Generator().manual_seed(3)
    x, w = torch.full((6, 8), 0.5).double(), torch.randn(6, 8, generator=g, dtype=torch.float64)
    gain = 0.1 * 0.55 * w.abs().sum(dim=1)
    y = cross_plane(x, w, gain, x - 0.1, x + 0.1)
    for i in range(6):
        needed = int((y[i] != x[i]).sum())
        assert needed > 1
        reach = max(0.1 * float(w[i, list(s)].abs().sum()) for s in combinations(range(8), needed - 1))
        assert reach < gain[i]


def test_limits():
    x, w, low, high = planes()
    nothing = cross_plane(x, w, torch.zeros(len(x)).double(), low, high, offset=1.0)
    assert torch.equal(nothing, x)
    everything = cross_plane(x, w, torch.full((len(x),), 1e9).double(), low, high)
    assert torch.equal(everything, torch.where(w > 0, high, torch.where(w < 0, low, x)))
    half = cross_plane(*(each.float() for each in (x, w, most(x, w, low, high) / 2, low, high)))
    assert half.dtype == torch.float32
    assert ((half >= low.float()) & (half <= high.float())).all()
    on_bound = (half == low.float()) | (half == high.float()) | (half == x.float())
    assert ((~on_bound).sum(dim=1) <= 1).all()  # only the last entry stops on its way
    assert len(cross_plane(x[:0], w[:0], x[:0, 0], low[:0], high[:0])) == 0


def images(n=12, seed=0, ε=0.1, shape=(2, 2, 3)):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *shape, generator=g, dtype=torch.float64)
    x[:, 0, 0] = x[:, 0, 0].round()
    y = x + 0.15 * torch.randn(n, *shape, generator=g, dtype=torch.float64)
    return y, x, (x - ε).clamp(min=0), (x + ε).clamp(max=1)


def test_nearest_of_all_supports():
    y, x, low, high = images()
    pixels = torch.arange(12) % 7
    projected = nearest_sparse(y, x, pixels, low, high)
    for i in range(12):
        best = min(
            float((y[i] - candidate(y[i], x[i], low[i], high[i], support)).square().sum())
            for support in combinations(range(6), int(pixels[i]))
        )
        torch.testing.assert_close(float((y[i] - projected[i]).square().sum()), best, atol=1e-12, rtol=0)


def candidate(y, x, low, high, support):
    moved = torch.zeros(6, dtype=torch.bool)
    moved[list(support)] = True
    return torch.where(moved.view(1, 2, 3), y.clamp(low, high), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_set_is_kept_exactly(dtype):
    y, x, low, high = (each.to(dtype) for each in images(shape=(3, 5, 5)))
    pixels = torch.arange(12) * 2
    once = nearest_sparse(y, x, pixels, low, high)
    assert torch.equal((once != x).any(dim=1).flatten(1).sum(dim=1), pixels)
    assert ((once >= low) & (once <= high)).all()
    assert torch.equal(nearest_sparse(once, x, pixels, low, high), once)


def test_ties_change_no_more_pixels_than_allowed():
    x = torch.full((12, 3, 5, 5), 0.5)
    once = nearest_sparse(x + 0.05, x, torch.full((12,), 4), x - 0.1, x + 0.1)
    changed = (once != x).any(dim=1).flatten(1)
    assert torch.equal(changed, (torch.arange(25) < 4).expand(12, 25))
