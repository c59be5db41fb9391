"""Oracle: corners and the first two steps on an affine model, independence of sets, the loss it steps down, passes."""

import pytest
import torch

from flipbook.universal import or_s, oracle
from flipbook.universal.training import Visits
from tests.universal.small import affine_pool, net_pool, short
from tests.universal.test_loss import by_hand


def test_reaches_the_corner_of_an_affine_model():
    pool = affine_pool()
    W = pool.net.model.W.view(-1, *pool.shape)
    result = oracle(pool, [(0,), (3,)], short(epochs=13, images=8, batch=4, kappa=0))
    assert torch.equal(result.compose(0), -0.05 * W[0].sign())
    assert torch.equal(result.compose([3]), -0.05 * W[3].sign())


def test_first_step_is_the_sign_of_the_formula_s_gradient():
    """At u = 0, where no prediction has changed and the drift is 0."""
    pool, omega = net_pool(), (1, 2)
    members = pool.containing(omega)
    n = len(members)
    assert n > 0
    ours = oracle(pool, [omega], short(epochs=1, images=n, batch=n, step=0.05)).vectors[0]
    u = torch.zeros(pool.shape, dtype=torch.float64, requires_grad=True)
    a, z = pool.net.model(pool.images[members] + u), pool.logits[members]
    target = pool.mask([omega] * n)
    value = torch.nn.functional.softplus(a)[target].mean()
    (g,) = torch.autograd.grad(value, u)
    assert torch.equal(ours, -0.05 * g.sign())
    loss = by_hand(a.detach(), z, target, ~target, torch.zeros(n, dtype=torch.int64), 20)[0]
    assert loss == pytest.approx(value.item())


@pytest.mark.parametrize("kappa", [0.0, 1.0, 20.0])
def test_second_step_on_an_affine_model_is_the_sign_worked_out_by_hand(kappa):
    """The first step flips labels outside the set of two as well, so that the drift takes part in the second.

    Gradient of the mean over Ω of softplus(a), a = z + W u: σ(a_k) W_k / 2. Of max(0, -tanh(z_q a_q)) where the sign of
    label q has changed: -z_q sech²(z_q a_q) W_q; four labels must stay on each image.
    """
    pool, omega, ξ = affine_pool(), (0, 3), 0.03
    members, others = pool.containing(omega), [1, 2, 4, 5]
    n, W, z = len(members), pool.net.model.W, pool.logits[pool.containing(omega)]
    attack = z[:, omega].sigmoid().mean(dim=0) @ W[[*omega]] / 2
    first = -ξ * attack.sign()

    a = z + W @ first
    flipped = (z[:, others] > 0) != (a[:, others] > 0)
    assert 0 < flipped.double().mean() < 1
    attack = a[:, omega].sigmoid().mean(dim=0) @ W[[*omega]] / 2
    slopes = torch.where(flipped, -z[:, others] / (z * a)[:, others].cosh() ** 2, 0)
    drift = slopes.sum(dim=0) @ W[others] / (n * len(others))
    gradient = attack + kappa * drift
    assert ((gradient.sign() != attack.sign()).any()) == (kappa > 0)
    second = (first - ξ * gradient.sign()).clamp(-0.05, 0.05)

    settings = {"images": n, "batch": n, "step": ξ, "kappa": kappa}
    one, two = (oracle(pool, [omega], short(epochs=epochs, **settings)).vectors[0].flatten() for epochs in (1, 2))
    assert torch.equal(one, first)
    assert torch.equal(two, second)


def test_sets_do_not_depend_on_each_other_or_on_chunks():
    pool, sets = net_pool(), [(0,), (1, 2), (3,), (4, 5)]
    together = oracle(pool, sets, short(epochs=4))
    chunked = oracle(pool, sets[::-1], short(epochs=4, chunk=3))
    for omega in sets:
        alone = oracle(pool, [omega], short(epochs=4)).compose(omega)
        assert torch.equal(alone, together.compose(omega))
        assert torch.equal(alone, chunked.compose(omega))


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


@pytest.mark.parametrize("omega", [(1,), (0, 3)])
def test_every_step_is_that_of_the_plain_loop(omega):
    """Several epochs of mini-batches, image by image, with autograd through everything."""
    pool, training = net_pool(), short(epochs=3, images=6, batch=2, step=0.02, epsilon=0.1)
    visits, u = Visits(pool, [omega], training), torch.zeros(pool.shape, dtype=torch.float64)
    for epoch in range(training.epochs):
        for step in range(visits.steps):
            pixels, attack, drift, number = u.clone().requires_grad_(), 0.0, 0.0, 0
            index = visits.rows(epoch, step).index.tolist()
            for n in index:
                a, z = pool.net.model((pool.images[n] + pixels)[None])[0], pool.logits[n]
                attack = attack + sum(torch.nn.functional.softplus(a[k]) for k in omega) / len(omega)
                for q in set(range(pool.labels)) - set(omega):
                    drift, number = drift + torch.relu(-torch.tanh(z[q] * a[q])), number + 1
            (g,) = torch.autograd.grad(attack / len(index) + training.kappa * drift / number, pixels)
            u = (u - training.xi * training.factor(epoch) * g.sign()).clamp(-training.epsilon, training.epsilon)
    ours = oracle(pool, [omega], training).vectors[0]
    torch.testing.assert_close(ours, u, rtol=0, atol=1e-12)
