"""The loss against its formula, label by label."""

import math

import pytest
import torch

from flipbook.universal import loss


def by_hand(a, z, target, held, group, kappa, form="code"):
    """Loss of every group, in plain loops."""
    losses = []
    for g in range(int(group.max()) + 1):
        attack, drift, images, labels = 0.0, 0.0, 0, 0
        for b in (group == g).nonzero().flatten().tolist():
            on = [k for k in range(a.shape[1]) if target[b, k]]
            values = [math.log1p(math.exp(a[b, k])) if form == "code" else -math.log1p(math.exp(-a[b, k])) for k in on]
            attack += sum(values) / (len(on) if form == "code" else 1)
            images += 1
            for q in range(a.shape[1]):
                if held[b, q]:
                    labels += 1
                    drift += max(0.0, -math.tanh(z[b, q] * a[b, q]))
        losses.append(attack / images + kappa * drift / labels)
    return losses


@pytest.mark.parametrize("form", loss.FORMS)
def test_equals_the_formula_for_groups_of_unequal_size(form):
    g = torch.Generator().manual_seed(0)
    a, z = torch.randn(2, 7, 5, generator=g, dtype=torch.float64)
    target = torch.rand(7, 5, generator=g) < 0.4
    target[:, 0] = True
    held = ~target & (torch.rand(7, 5, generator=g) < 0.8)
    held[:, 4], target[:, 4] = True, False
    group = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    weights = loss.weights(held, group, 3, kappa=20)
    attack, drift = loss.terms(a, z, target, held, form)
    ours = torch.zeros(3, dtype=torch.float64).index_add_(0, group, attack * weights[0] + drift * weights[1])
    expected = torch.tensor(by_hand(a, z, target, held, group, 20, form), dtype=torch.float64)
    torch.testing.assert_close(ours, expected, atol=1e-9, rtol=0)


def test_drift_is_exactly_zero_and_still_while_signs_agree():
    z = torch.tensor([[3.0, -2.0, 0.5, -4.0]], dtype=torch.float64)
    a = torch.tensor([[1e-9, -1e-9, 0.0, 4.0]], dtype=torch.float64, requires_grad=True)
    held = torch.tensor([[True, True, True, False]])
    _, drift = loss.terms(a, z, ~held, held)
    assert drift.item() == 0
    (gradient,) = torch.autograd.grad(drift, a)
    assert (gradient == 0).all()


def test_drift_gradient_after_a_flip_and_far_beyond():
    z = torch.tensor([[1.0, -1.5, 9.0]], dtype=torch.float64)
    a = torch.tensor([[-0.4, 0.3, -9.0]], dtype=torch.float64, requires_grad=True)
    held = torch.ones(1, 3, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(loss.terms(a, z, ~held, held)[1].sum(), a)
    torch.testing.assert_close(gradient[:, :2], (-z / (z * a).cosh() ** 2).detach()[:, :2])
    assert gradient[0, 2].abs() < 1e-12


def test_code_form_dies_out_and_paper_form_goes_on():
    target = torch.tensor([[True]])
    for form, slope in (("code", 0.0), ("paper", 1.0)):
        a = torch.tensor([[-40.0]], dtype=torch.float64, requires_grad=True)
        attack, _ = loss.terms(a, -a.detach(), target, ~target, form)
        assert torch.autograd.grad(attack.sum(), a)[0].item() == pytest.approx(slope, abs=1e-12)


def test_nothing_held_costs_nothing():
    held, group = torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, dtype=torch.int64)
    attack, drift = loss.weights(held, group, 1, kappa=20)
    assert attack.tolist() == [0.5, 0.5]
    assert drift.isfinite().all()
