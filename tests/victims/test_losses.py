"""Losses on values worked out by hand."""

import math

import pytest
import torch

from companion.victims.losses import asymmetric, binary, hinge


def test_hinge_by_hand():
    code = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    logits = torch.tensor([[0.5, -2.0], [30.0, -30.0]])
    by_hand = (1 - math.tanh(0.5)) + (1 + math.tanh(2.0))  # the second image costs nothing
    assert hinge(logits, torch.tensor([0, 1]), code).item() == pytest.approx(by_hand / 2, abs=1e-6)


@pytest.mark.parametrize(("γ_pos", "γ_neg"), [(0, 4), (1, 4), (1, 2)])
def test_asymmetric_loss_by_hand(γ_pos, γ_neg):
    z = torch.tensor([[1.2, -0.3, -4.0]])
    p = [1 / (1 + math.exp(-v)) for v in z[0].tolist()]
    present = -((1 - p[0]) ** γ_pos) * math.log(p[0])
    shifted = p[1] - 0.05
    absent = -(shifted**γ_neg) * math.log(1 - shifted)  # the third is below the clip: easy, no cost
    found = asymmetric(z, torch.tensor([[1, 0, 0]], dtype=torch.uint8), γ_pos, γ_neg)
    assert found.item() == pytest.approx(present + absent, rel=1e-5)


def test_asymmetric_loss_without_its_three_knobs_is_binary_cross_entropy():
    z, y = torch.randn(5, 7), torch.randint(0, 2, (5, 7))
    torch.testing.assert_close(asymmetric(z, y, 0, 0, 0), binary(z, y))


@pytest.mark.parametrize("value", [-200.0, 0.0, 200.0])
def test_losses_stay_finite_at_extreme_logits(value):
    z = torch.full((2, 4), value, requires_grad=True)
    y = torch.tensor([[0, 1, 0, 1]] * 2)
    for loss in (asymmetric, binary):
        loss(z, y).backward()
        assert z.grad.isfinite().all()
