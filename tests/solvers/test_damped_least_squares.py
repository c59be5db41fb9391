"""Damped least squares against dense solutions and what filling up and missing weights do."""

import pytest
import torch

from flipbook.solvers.damped_least_squares import Damping, damped_multipliers


def systems(n=3, m=4, pixels=11, seed=0):
    g = torch.Generator().manual_seed(seed)
    J = torch.randn(n, m, pixels, generator=g, dtype=torch.float64)
    r = torch.randn(n, m, generator=g, dtype=torch.float64)
    w = torch.rand(n, m, generator=g, dtype=torch.float64) + 0.1
    return J, r, w, torch.tensor([0.01, 1.0, 50.0], dtype=torch.float64)


def test_the_step_minimises_the_damped_squares():
    """-Jᵀ y is the least-squares solution of sqrt(w) (r + J δ) = 0 above sqrt(λ) δ = 0."""
    J, r, w, λ = systems()
    y = damped_multipliers(J @ J.transpose(1, 2), r, w, λ)
    for i in range(3):
        stacked = torch.cat([w[i].sqrt()[:, None] * J[i], λ[i].sqrt() * torch.eye(11).double()])
        wanted = torch.cat([-w[i].sqrt() * r[i], torch.zeros(11).double()])
        δ = torch.linalg.lstsq(stacked, wanted[:, None]).solution[:, 0]
        torch.testing.assert_close(-J[i].T @ y[i], δ, rtol=1e-9, atol=1e-12)


def test_rows_that_fill_up_and_rows_without_weight_take_no_part():
    J, r, w, λ = systems()
    Q = J @ J.transpose(1, 2)
    alone = damped_multipliers(Q[:, :2, :2], r[:, :2], w[:, :2], λ)
    counts = torch.tensor([True, True, False, False]).expand(3, -1)
    for y in (damped_multipliers(Q, r, w, λ, counts), damped_multipliers(Q, r, w * counts, λ)):
        torch.testing.assert_close(y[:, :2], alone, rtol=1e-12, atol=0)
        assert (y[:, 2:] == 0).all()


def test_an_image_whose_system_is_not_finite_stands_still_and_harms_nobody():
    J, r, w, λ = systems()
    Q = J @ J.transpose(1, 2)
    usual = damped_multipliers(Q, r, w, λ)
    Q[1, 0, 0] = torch.nan
    y = damped_multipliers(Q, r, w, λ)
    assert (y[1] == 0).all()
    assert torch.equal(y[[0, 2]], usual[[0, 2]])


def test_parallel_rows_and_single_precision():
    J, r, w, λ = systems()
    J[:, 1] = J[:, 0]
    y = damped_multipliers((J @ J.transpose(1, 2)).float(), r.float(), w.float(), λ.float())
    assert y.dtype == torch.float64
    assert y.isfinite().all()


def test_damping_falls_by_one_factor_and_rises_by_another():
    rule, λ = Damping(4.0, f_in=1.5, f_de=5.0), torch.tensor([4.0, 4.0])
    assert rule.after(λ, torch.tensor([True, False])).tolist() == pytest.approx([0.8, 6.0])
