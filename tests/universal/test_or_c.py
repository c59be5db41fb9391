"""Or-C: single labels untouched, coefficients against plain autograd, the released start, passes."""

import pytest
import torch

from flipbook.universal import Pool, or_c, or_s
from flipbook.universal.training import Visits
from tests.universal.small import net_pool, short, single_precision

TRAINING = short(epochs=3, images=6, batch=6, epsilon=0.2, step=0.05)


def test_single_labels_keep_their_vectors_at_no_cost():
    pool = net_pool()
    basis = or_s(pool, [0, 3], TRAINING)
    result = or_c(basis, pool, [[0], [3]], TRAINING)
    assert torch.equal(result.compose_all([[0], [3]]), basis.vectors)
    assert result.record["forwards"] == result.record["backwards"] == 0


def test_equals_adam_of_pytorch_on_the_plain_loss():
    pool, omega = net_pool(), (0, 2)
    basis = or_s(pool, [0, 2, 3], TRAINING)
    a = torch.ones(2, dtype=torch.float64, requires_grad=True)
    adam, visits = torch.optim.Adam([a], lr=0.05), Visits(pool, [omega], TRAINING)
    for epoch in range(3):
        index = visits.rows(epoch, 0).index
        w = a[0] * basis.compose(0) + a[1] * basis.compose(2)
        v = w * (0.2 / w.abs().max()).clamp(max=1)
        logits, z = pool.net.model(pool.images[index] + v), pool.logits[index]
        others = [1, 3, 4, 5]
        loss = torch.nn.functional.softplus(logits[:, omega]).mean()
        loss = loss + 20 * torch.relu(-torch.tanh(logits * z)[:, others]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    result = or_c(basis, pool, [omega, (2, 3)], TRAINING)
    torch.testing.assert_close(result.coefficients[0], torch.cat([a.detach(), a.new_zeros(1)]))
    assert result.record["forwards"] == result.record["backwards"] == 2 * 3 * 6


def test_released_setting_starts_anywhere_and_hardly_moves():
    pool = net_pool()
    basis = or_s(pool, [0, 2, 3], TRAINING)
    sets = [(0, 2), (2, 3), (0, 3), (0, 2, 3)]
    first, again = (or_c(basis, pool, sets[:n], TRAINING, setting="released") for n in (4, 1))
    values = first.coefficients[first.coefficients != 0]
    assert len(values) == 9
    assert (values < 0).any()
    assert (values.abs() < 1.1).all()
    assert first.record["kappa"] == 50
    torch.testing.assert_close(first.coefficients[0], again.coefficients[0])


def test_starts_from_or_s():
    pool = net_pool()
    basis = or_s(pool, [0, 2, 3], TRAINING)
    result = or_c(basis, pool, [(0, 2), (0, 2, 3)], TRAINING, rate=1e-12)
    torch.testing.assert_close(result.compose_all([(0, 2), (0, 2, 3)]), basis.compose_all([(0, 2), (0, 2, 3)]))


def test_a_set_does_not_depend_on_the_others_bitwise():
    pool = single_precision(net_pool())
    basis = or_s(pool, [0, 2, 3], TRAINING)
    result = or_c(basis, pool, [(0,), (0, 2), (2, 3), (0, 2, 3)], TRAINING)
    together = result.compose_all(result.omegas)
    assert together.dtype == torch.float32
    for omega, v in zip(result.omegas, together, strict=True):
        assert torch.equal(result.compose(omega), v)
    assert torch.equal(together[0], basis.vectors[0])


def test_errors():
    pool = net_pool()
    basis = or_s(pool, [0, 2], TRAINING)
    with pytest.raises(ValueError, match="no vector was learnt for"):
        or_c(basis, pool, [(0, 1)], TRAINING)
    with pytest.raises(ValueError, match=r"training.epsilon is 0\.05, the basis has 0\.2"):
        or_c(basis, pool, [(0, 2)], short())
    with pytest.raises(ValueError, match="the basis is for other labels than the pool's: label 0 is '0' there and 'a'"):
        or_c(basis, Pool(pool.net.model, pool.images, "abcdef"), [(0, 2)], TRAINING)
    with pytest.raises(ValueError, match="setting is 'sgd'"):
        or_c(basis, pool, [(0, 2)], TRAINING, setting="sgd")
