"""Three projections: inside the ball bitwise, and with the right gradients."""

import pytest
import torch

from flipbook.universal import projections


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ε", [0.05, 0.01, 8 / 255])
def test_inside_the_ball_bitwise(dtype, ε):
    g = torch.Generator().manual_seed(0)
    w = torch.randn(500, 3, 4, 4, generator=g, dtype=dtype) * torch.logspace(-4, 2, 500, dtype=dtype).view(-1, 1, 1, 1)
    limit = torch.tensor(ε, dtype=dtype)
    for project in (projections.columns, projections.full_budget, projections.radial):
        assert (project(w, ε).abs() <= limit).all()
    largest = projections.full_budget(w, ε).flatten(1).abs().amax(dim=1)
    torch.testing.assert_close(largest, limit.expand(500), rtol=2e-5, atol=0)  # 1e-9 beside the smallest |w|_inf


def test_radial_never_scales_up_and_keeps_directions():
    g = torch.Generator().manual_seed(1)
    w = torch.randn(50, 3, 4, 4, generator=g) * torch.logspace(-4, 1, 50).view(-1, 1, 1, 1)
    v, inside = projections.radial(w, 0.05), w.flatten(1).abs().amax(dim=1) <= 0.05
    assert inside.any()
    assert not inside.all()
    assert torch.equal(v[inside], w[inside])
    assert (v.abs() <= w.abs()).all()
    torch.testing.assert_close(v, w * (0.05 / w.flatten(1).abs().amax(dim=1)).clamp(max=1).view(-1, 1, 1, 1))


@pytest.mark.parametrize("upwards", [False, True])
def test_gradient_equals_that_of_the_plain_formula(upwards):
    g = torch.Generator().manual_seed(2)
    w = (0.1 * torch.randn(6, 3, 2, 2, generator=g, dtype=torch.float64)).requires_grad_()
    with torch.no_grad():
        w[:2] *= 0.1
        w[3:].clamp_(-0.07, 0.07)  # several of the largest size
        w[5] *= 1e-8  # so small that the floor counts
    weight = torch.randn(6, 3, 2, 2, generator=g, dtype=torch.float64)
    m = w.abs().flatten(1).amax(dim=1).view(-1, 1, 1, 1)
    plain = w * (0.05 / (m + 1e-9) if upwards else (0.05 / m).clamp(max=1))
    ours = (projections.full_budget if upwards else projections.radial)(w, 0.05)
    torch.testing.assert_close(ours, plain)
    (expected,), (gradient,) = (torch.autograd.grad((v * weight).sum(), w) for v in (plain, ours))
    torch.testing.assert_close(gradient, expected)


def test_nothing_stays_nothing():
    w = torch.zeros(2, 3, 4, 4, requires_grad=True)
    v = projections.full_budget(w, 0.05)
    assert (v == 0).all()
    g = torch.ones_like(v)
    g[0] *= -1
    (gradient,) = torch.autograd.grad(v, w, g)
    assert torch.equal(gradient.sign(), g)


def test_images_stay_in_the_box_and_gradients_pass_the_clip():
    x, v = torch.rand(4, 3, 5, 5), torch.randn(4, 3, 5, 5, requires_grad=True)
    attacked = projections.apply(x.clone(), v)
    assert torch.equal(attacked, (x + v).clamp(0, 1))
    assert (attacked == 0).any()
    g = torch.randn_like(x)
    assert torch.equal(torch.autograd.grad(attacked, v, g)[0], g)
