"""SGA: its path against plain loops, passes, independence."""

import pytest
import torch

from flipbook.universal import projections, sga
from flipbook.universal.sga import _small_batches
from flipbook.universal.training import Visits
from tests.universal.small import net_pool, short


def test_equals_plain_loops():
    pool, training = net_pool(), short(epochs=2, images=6, batch=6, step=0.02)
    visits, u = Visits(pool, [(1,)], training), torch.zeros(pool.shape, dtype=torch.float64)
    for epoch in range(2):
        δ, G = u, torch.zeros_like(u)
        for small in _small_batches(visits.rows(epoch, 0), 1, 3, 2):
            leaf, z = δ.clone().requires_grad_(), pool.logits[small.index]
            a = pool.net.model(pool.images[small.index] + leaf)
            drift = torch.relu(-torch.tanh(a * z)[:, [0, 2, 3, 4, 5]]).mean()
            (g,) = torch.autograd.grad(torch.nn.functional.softplus(a[:, 1]).mean() + 20 * drift, leaf)
            G, δ = G + g, projections.columns(δ - 0.02 * g.sign(), 0.05)
        u = projections.columns(u - 0.02 * G.sign(), 0.05)
    ours = sga(pool, [1], training, inner_batch=3, inner_passes=2).vectors[0]
    torch.testing.assert_close(ours, u, atol=1e-12, rtol=0)


def test_small_batches_hold_every_image_once_a_pass():
    visits = Visits(net_pool(), [(0,), (1,)], short(images=7, batch=7))
    rows = visits.rows(0, 0)
    parts = list(_small_batches(rows, 2, 3, 4))
    assert len(parts) == 4 * 2
    for g in range(2):
        mine = [part.index[part.group == g].tolist() for part in parts]
        assert all(len(each) == 3 for each in mine)
        assert all(len(set(mine[i] + mine[i + 1])) == 6 for i in range(0, 8, 2))
    assert parts[0].index.tolist() != parts[2].index.tolist()


def test_passes_and_step():
    pool = net_pool()
    record = sga(pool, [0, 1], short(epochs=3, images=8, batch=8), inner_batch=4).record
    assert record["forwards"] == record["backwards"] == 4 * 2 * 3 * 8
    assert record["step"] == pytest.approx(0.005)


def test_labels_do_not_depend_on_each_other():
    pool = net_pool()
    both, one = (sga(pool, labels, short(), inner_batch=2).vectors for labels in ([4, 0], [0]))
    assert torch.equal(both[1], one[0])
    assert (both.abs() <= 0.05).all()


@pytest.mark.parametrize("option", ["inner_batch", "inner_passes"])
def test_numbers_that_are_not_whole(option):
    with pytest.raises(ValueError, match=f"{option} is 2.5: it must be a whole number, 1 or above"):
        sga(net_pool(), [0], short(), **{option: 2.5})
