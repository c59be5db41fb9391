"""CMLU: its step against plain loops, the two orders, λ's laws, alpha against beta, passes."""

from itertools import combinations

import pytest
import torch

from flipbook.universal import cmlu, cmlu_alpha, cmlu_beta, coefficients, evaluate, loss, or_s
from flipbook.universal.training import Visits
from tests.universal.small import affine_pool, net_pool, short

LABELS = [0, 2, 3, 5]


def plain_beta(pool, labels, training, t_law, order, penalty, values="uniform"):
    """CMLU-beta image by image, with autograd through everything: Algorithm 1, or the released order and penalty."""
    K, visits = len(labels), Visits(pool, [(k,) for k in labels], training)
    U = torch.zeros(K, *pool.shape, dtype=torch.float64)
    for epoch in range(training.epochs):
        for step in range(visits.steps):
            new = U.clone()
            for k in range(K):
                before = U if order == "jacobi" else new
                rows = visits.rows(epoch, step, slice(k, k + 1))
                λ = coefficients.draw(rows, rows.group + k, K, t_law, values)
                u, attack, drift, held_labels = before[k].clone().requires_grad_(), 0.0, 0.0, 0
                for b in range(len(rows.index)):
                    w = u + sum(λ[b, j] * before[j] for j in range(K))
                    v = training.epsilon * w / (w.abs().max() + 1e-9)
                    x, z = pool.images[rows.index[b]], pool.logits[rows.index[b]]
                    a = pool.net.model((x + v)[None])[0]
                    attack = attack + torch.nn.functional.softplus(a[labels[k]])
                    for q in range(pool.labels):
                        if q != labels[k] and (q not in labels or λ[b, labels.index(q)] == 0):
                            drift, held_labels = drift + torch.relu(-torch.tanh(z[q] * a[q])), held_labels + 1
                value = attack / len(rows.index) + training.kappa * drift / held_labels
                if penalty and all(each.any() for each in before):
                    flat = torch.stack([u if j == k else before[j] for j in range(K)]).flatten(1)
                    unit = flat / flat.norm(dim=1, keepdim=True)
                    value = value + penalty * (unit @ unit.T - torch.eye(K).double()).square().mean()
                (g,) = torch.autograd.grad(value, u)
                new[k] = (before[k] - training.xi * g.sign()).clamp(-training.epsilon, training.epsilon)
            U = new
    return U


@pytest.mark.parametrize("t_law", coefficients.T_LAWS)
@pytest.mark.parametrize(("order", "penalty"), [("jacobi", 0), ("gauss-seidel", 0), ("gauss-seidel", 1.0)])
def test_equals_plain_loops(t_law, order, penalty):
    pool, training = net_pool(), short(epochs=2, images=4, batch=2, step=0.02, epsilon=0.1)
    ours = cmlu_beta(pool, LABELS, training, t_law=t_law, order=order, penalty=penalty).vectors
    plain = plain_beta(pool, LABELS, training, t_law, order, penalty)
    torch.testing.assert_close(ours, plain, atol=1e-12, rtol=0)


@pytest.mark.parametrize("train", [cmlu_beta, cmlu_alpha])
def test_both_orders_agree_on_a_single_label(train):
    pool, training = net_pool(), short(epochs=4)
    jacobi, other = (train(pool, [2], training, order=order).vectors for order in ("jacobi", "gauss-seidel"))
    assert torch.equal(jacobi, other)


@pytest.mark.parametrize("train", [cmlu_beta, cmlu_alpha])
def test_orders_differ_once_vectors_meet_and_hide_as_much(train):
    """Mean FR over all sets of one to three labels within 2 points; a quarter of the training is 5 points behind.

    ε is so small that not every image is fooled.
    """
    pool, sets = net_pool(200), [omega for size in (1, 2, 3) for omega in combinations(LABELS, size)]
    budget = {"images": 40, "batch": 20, "epsilon": 0.03, "step": 0.0025}
    settings = [("jacobi", 12), ("gauss-seidel", 12), ("jacobi", 3)]
    found = [train(pool, LABELS, short(epochs=epochs, **budget), order=order) for order, epochs in settings]
    jacobi, other, little = (evaluate(basis, pool, sets, progress=False)["FR"].mean() for basis in found)
    assert not torch.equal(found[0].vectors, found[1].vectors)
    assert 50 < jacobi < 95
    assert abs(jacobi - other) < 2
    assert little < jacobi - 5


def test_a_single_label_on_an_affine_model():
    """The first step is Or-S's; then a composite has no slope along itself, and only the signs stay the corner's."""
    pool = affine_pool()
    first = short(epochs=1, batch=8, kappa=0)
    assert torch.equal(cmlu_beta(pool, [3], first).vectors, or_s(pool, [3], first).vectors)
    vectors = cmlu_beta(pool, [3], short(epochs=13, kappa=0)).vectors
    assert torch.equal(vectors.sign().flatten(), -pool.net.model.W[3].sign())


def test_alpha_without_inner_steps_is_binary_beta():
    pool, training = net_pool(), short(epochs=4, step=0.02)
    for law in coefficients.T_LAWS:
        alpha = cmlu_alpha(pool, LABELS, training, inner_steps=0, t_law=law).vectors
        beta = cmlu_beta(pool, LABELS, training, values="binary", t_law=law, penalty=0).vectors
        assert torch.equal(alpha, beta)
    assert not torch.equal(alpha, cmlu_alpha(pool, LABELS, training, t_law=law).vectors)


def test_alphas_coefficients_hurt_more_than_random_ones(monkeypatch):
    """With the same sizes t, the loss that a step meets is larger than beta's with binary values."""
    pool, met = net_pool(200), []
    terms = loss.terms

    def watch(a, z, target, held, form):
        attack, drift = terms(a, z, target, held, form)
        if held.dtype == torch.bool:  # the outer pass
            met.append((attack + 20 * drift / held.sum(dim=1)).mean().item())
        return attack, drift

    monkeypatch.setattr(loss, "terms", watch)
    training = short(epochs=4, images=40, batch=40, chunk=1000, step=0.05, epsilon=0.2)
    cmlu_alpha(pool, LABELS, training, inner_steps=0)
    random, met = met, []
    cmlu_alpha(pool, LABELS, training, inner_steps=6)
    assert met[0] == random[0]  # U = 0: nothing to choose
    assert met[1] > random[1]


def test_chunks_do_not_matter():
    pool = net_pool()
    for train in (cmlu_beta, cmlu_alpha):
        whole, parts = (train(pool, LABELS, short(epochs=3, chunk=chunk)).vectors for chunk in (1000, 3))
        torch.testing.assert_close(whole, parts, atol=1e-12, rtol=0)


@pytest.mark.parametrize("order", ["jacobi", "gauss-seidel"])
def test_passes_grow_linearly_in_the_labels(order):
    pool = affine_pool()
    for labels in ([0], [0, 1], [0, 1, 2, 3]):
        images = 3 * 7 * len(labels)
        beta = cmlu_beta(pool, labels, short(epochs=3, images=7), order=order).record
        assert beta["forwards"] == beta["backwards"] == images
        alpha = cmlu_alpha(pool, labels, short(epochs=3, images=7), inner_steps=2, order=order).record
        assert alpha["forwards"] == alpha["backwards"] == 3 * images


@pytest.mark.parametrize(
    "change", [{"t_law": "uniform"}, {"values": "binary"}, {"penalty": 1e4}, {"order": "gauss-seidel"}]
)
def test_settings_matter(change):
    pool, training = net_pool(), short(epochs=6, step=0.02)
    assert not torch.equal(
        cmlu_beta(pool, LABELS, training).vectors, cmlu_beta(pool, LABELS, training, **change).vectors
    )


def test_step_schedule():
    pool = affine_pool()
    vectors = cmlu_beta(pool, [0, 1], short(epochs=2, images=4, batch=4, decay=True), penalty=0).vectors
    sizes = torch.unique(vectors.abs())
    expected = torch.tensor([0.0018, 0.0022], dtype=torch.float64)
    torch.testing.assert_close(sizes[sizes.diff(prepend=sizes[:1] - 1) > 1e-9], expected)


class TestCoefficients:
    def rows(self, images=300):
        visits = Visits(affine_pool(images), [(k,) for k in range(4)], short(images=100, batch=100))
        return visits.rows(0, 0)

    @pytest.mark.parametrize("values", coefficients.VALUE_LAWS)
    @pytest.mark.parametrize("t_law", coefficients.T_LAWS)
    def test_laws(self, t_law, values):
        rows = self.rows()
        λ = coefficients.draw(rows, rows.group, 4, t_law, values)
        assert (λ.gather(1, rows.group[:, None]) == 0).all()
        assert ((λ >= 0) & (λ <= 1)).all()
        t = (λ > 0).sum(dim=1)
        assert torch.equal(t, coefficients.size(rows, 4, t_law))
        share = torch.bincount(t, minlength=4) / len(t)
        expected = torch.tensor([1, 3, 3, 1]) / 8 if t_law == "binomial" else torch.full((4,), 0.25)
        assert (share - expected).abs().max() < 0.08
        assert (λ[λ > 0] == 1).all() == (values == "binary")
        others = ~torch.nn.functional.one_hot(rows.group, 4).bool()
        each = (λ > 0).double().sum(dim=0) / others.sum(dim=0)
        assert (each - 0.5).abs().max() < 0.1

    def test_belong_to_the_image_and_not_to_the_batch(self):
        pool = affine_pool()
        visits = [Visits(pool, [(0,), (1,)], short(images=8, batch=size)) for size in (8, 2)]
        whole = visits[0].rows(0, 0)
        λ = coefficients.draw(whole, whole.group, 2, "uniform", "uniform")
        part = visits[1].rows(0, 1)
        expected = λ.view(2, 8, 2)[:, 2:4].reshape(4, 2)
        assert torch.equal(coefficients.draw(part, part.group, 2, "uniform", "uniform"), expected)


@pytest.mark.parametrize(
    ("train", "options", "message"),
    [
        (cmlu_beta, {"t_law": "even"}, "t_law is 'even'"),
        (cmlu_beta, {"values": "real"}, "values is 'real'"),
        (cmlu_alpha, {"order": "random"}, "order is 'random'"),
        (cmlu_alpha, {"inner_steps": -1}, "inner_steps is -1: it must be a whole number, 0 or above"),
        (cmlu_alpha, {"inner_steps": 1.5}, "inner_steps is 1.5: it must be a whole number"),
        (cmlu_alpha, {"inner_move": torch.inf}, "inner_move is inf: it must be above 0 and finite"),
        (cmlu_beta, {"penalty": torch.nan}, "penalty is nan: it must be 0 or above"),
        (cmlu_beta, {"penalty": -3}, "penalty is -3: it must be 0 or above"),
    ],
)
def test_wrong_options(train, options, message):
    with pytest.raises(ValueError, match=message):
        train(affine_pool(), [0], short(), **options)


def test_wrong_labels():
    with pytest.raises(ValueError, match="label None is no label"):
        cmlu_beta(affine_pool(), [None], short())
    with pytest.raises(ValueError, match="given twice"):
        cmlu_beta(affine_pool(), [0, 0], short())
    with pytest.raises(ValueError, match="label 9 does not exist"):
        cmlu_beta(affine_pool(), [9], short())


def test_alphas_inner_step_climbs_the_loss_with_the_number_of_held_labels_as_a_constant():
    pool, κ, ε, move = net_pool(), 20.0, 0.2, 0.3
    training = short(kappa=κ, epsilon=ε)
    g = torch.Generator().manual_seed(0)
    U = 0.3 * torch.randn(len(LABELS), pool.images[0].numel(), generator=g, dtype=torch.float64)
    own = torch.tensor(LABELS)
    index = torch.tensor([n for n in range(40) if pool.logits[n, LABELS[1]] > 0][:6])
    vector, start = torch.full((len(index),), 1), torch.rand(len(index), len(LABELS), generator=g, dtype=torch.float64)
    found = cmlu._worst(pool, U, index, vector, own, start, training, 1, move)
    moved = 0
    for b, n in enumerate(index.tolist()):
        λ = start[b].clone().requires_grad_()
        w = U[1] + sum(λ[j] * U[j] for j in (0, 2, 3))
        x = (pool.images[n] + (ε * w / (w.abs().max() + 1e-9)).view(pool.shape)).clamp(0, 1)
        a, z = pool.net.model(x[None])[0], pool.logits[n]
        held = [1 - λ[LABELS.index(q)] if q in LABELS else torch.ones(()).double() for q in range(6)]
        others = [q for q in range(6) if q != LABELS[1]]
        drift = sum(held[q] * torch.relu(-torch.tanh(z[q] * a[q])) for q in others)
        number = sum(float(held[q].detach()) for q in others)
        (slope,) = torch.autograd.grad(torch.nn.functional.softplus(a[LABELS[1]]) + κ * drift / number, λ)
        expected = (start[b] + move * slope / slope.abs().max()).clamp(0, 1)
        at = torch.tensor([0, 2, 3])
        torch.testing.assert_close(found[b, at], expected[at], rtol=0, atol=1e-6)
        moved += int(((drift > 0) & (expected[at] > 0) & (expected[at] < 1)).sum())
    assert moved > 3
