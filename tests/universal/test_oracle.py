"""Oracle: corners on an affine model, independence of sets, the loss that it steps down, passes."""

import pytest
import torch

from flipbook.universal import or_s, oracle
from tests.universal.small import affine_pool, net_pool, short
from tests.universal.test_loss import by_hand


def test_reaches_the_corner_of_an_affine_model():
    pool = affine_pool()
    W = pool.net.model.W.view(-1, *pool.shape)
    result = oracle(pool, [(0,), (3,)], short(epochs=13, images=8, batch=4, kappa=0))
    assert torch.equal(result.compose(0), -0.05 * W[0].sign())
    assert torch.equal(result.compose([3]), -0.05 * W[3].sign())


def test_first_step_is_the_sign_of_the_formula_s_gradient():
    """From labels that a first step has flipped on, so that the drift takes part."""
    pool = net_pool()
    settings = {"images": 8, "batch": 8, "kappa": 20.0, "step": 0.05}
    one = oracle(pool, [(1, 2)], short(epochs=1, **settings)).vectors
    two = oracle(pool, [(1, 2)], short(epochs=2, **settings)).vectors
    members = pool.containing((1, 2))
    assert len(members) > 0
    pool_of_all = {"epochs": 1, "images": len(members), "batch": len(members), "step": 0.05}
    ours = oracle(pool, [(1, 2)], short(**pool_of_all)).vectors[0]
    u = torch.zeros(pool.shape, dtype=torch.float64, requires_grad=True)
    a, z = pool.net.model(pool.images[members] + u), pool.logits[members]
    target = pool.mask([(1, 2)] * len(members))
    value = torch.nn.functional.softplus(a)[target].mean()
    (g,) = torch.autograd.grad(value, u)
    assert torch.equal(ours, (-0.05 * g.sign()).clamp(-0.05, 0.05))
    assert by_hand(a.detach(), z, target, ~target, torch.zeros(len(members), dtype=torch.int64), 20)[
        0
    ] == pytest.approx(value.item())
    assert not torch.equal(one, two)


def test_sets_do_not_depend_on_each_other_or_on_chunks():
    pool, sets = net_pool(), [(0,), (1, 2), (3,), (4, 5)]
    together = oracle(pool, sets, short(epochs=4))
    chunked = oracle(pool, sets[::-1], short(epochs=4, chunk=3))
    for omega in sets:
        alone = oracle(pool, [omega], short(epochs=4)).compose(omega)
        assert torch.equal(alone, together.compose(omega))
        assert torch.equal(alone, chunked.compose(omega))


def test_inside_the_ball_bitwise_in_single_precision():
    pool = net_pool()
    pool.images, pool.logits = pool.images.float(), pool.logits.float()
    pool.net.model.float()
    vectors = oracle(pool, [(0,), (1, 2)], short(epochs=20, step=0.007)).vectors
    assert vectors.dtype == torch.float32
    assert (vectors.abs() <= torch.tensor(0.05)).all()
    assert (vectors.abs() == torch.tensor(0.05)).any()


def test_passes():
    pool = affine_pool()
    before = pool.net.forwards
    record = oracle(pool, [(0,), (1, 2), (3,)], short(epochs=3, images=7, batch=4)).record
    assert record["forwards"] == record["backwards"] == 3 * 3 * 7
    assert pool.net.forwards - before == 63
    assert record["images_per_vector"] == 21
    assert record["vectors"] == 3


@pytest.mark.parametrize("change", [{"kappa": 0.0}, {"form": "paper"}, {"seed": 1}, {"step": 0.01}, {"batch": 8}])
def test_settings_matter(change):
    pool = net_pool()
    base = {"epochs": 12, "step": 0.02, "epsilon": 0.2}
    first, other = (oracle(pool, [(0, 2)], short(**(base | more))).vectors for more in ({}, change))
    assert not torch.equal(first, other)


def test_or_s_is_the_oracle_of_single_labels():
    pool = affine_pool()
    basis, single = or_s(pool, [0, 4], short()), oracle(pool, [[0], [4]], short())
    assert torch.equal(basis.vectors, single.vectors)
    assert basis.labels == (0, 4)
    assert basis.method == "Or-S"


def test_errors():
    pool = affine_pool()
    result = oracle(pool, [(1, 2)], short())
    with pytest.raises(ValueError, match=r"Oracle was not trained for \{3\}"):
        result.compose(3)
    with pytest.raises(ValueError, match="no vector of a single label"):
        result.basis()
