"""The batched solver against KKT conditions, scipy's NNLS and linear programming."""

import numpy as np
import pytest
import scipy.optimize
import torch

from flipbook.solvers.nonnegative_qp import SLICE_ON_CPU, gram, kkt_residual, solve_nonnegative_qp


def problem(n=32, k=20, m=400, common=0.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    D = torch.randn(n, k, m, generator=g, dtype=torch.float64)
    D += common * torch.randn(n, 1, m, generator=g, dtype=torch.float64)
    return D, 3 * torch.randn(n, k, generator=g, dtype=torch.float64)


@pytest.mark.parametrize(("k", "common"), [(3, 0.0), (20, 0.0), (20, 3.0), (81, 3.0)])
def test_kkt(k, common):
    D, b = problem(n=8, k=k, common=common)
    λ, feasible = solve_nonnegative_qp(gram(D), b)
    assert feasible.all()
    assert kkt_residual(gram(D), b, λ).max() < 1e-7 * b.abs().max()
    δ = (λ[:, None] @ D).squeeze(1)
    assert ((D @ δ[:, :, None]).squeeze(2) + b).min() > -1e-7
    torch.testing.assert_close((δ**2).sum(1), -(b * λ).sum(1), rtol=1e-6, atol=1e-8)


def test_equals_scipy_nnls():
    D, b = problem(common=2.0)
    Q = gram(D)
    λ, _ = solve_nonnegative_qp(Q, b)
    for i in range(len(b)):
        L = np.linalg.cholesky(Q[i].numpy())
        expected, _ = scipy.optimize.nnls(L.T, -np.linalg.solve(L, b[i].numpy()))
        np.testing.assert_allclose(λ[i].numpy(), expected, rtol=1e-7, atol=1e-9)


def test_singular_and_infeasible_programs_are_told_apart():
    D, b = problem(n=200, k=10, m=5)  # more constraints than pixels
    λ, feasible = solve_nonnegative_qp(gram(D), b)
    for i in range(len(b)):
        answer = scipy.optimize.linprog(np.zeros(5), A_ub=-D[i].numpy(), b_ub=b[i].numpy(), bounds=(None, None))
        assert feasible[i].item() == (answer.status == 0)
    δ = (λ[:, None] @ D).squeeze(1)
    assert ((D @ δ[:, :, None]).squeeze(2) + b)[feasible].min() > -1e-5
    assert (λ[~feasible] == 0).all()
    assert 0.2 < feasible.double().mean() < 0.9


def test_shortest_not_merely_feasible():
    """The inverse printed in Eqs. 22 and 23 gives a feasible but longer step: a success rate would not notice."""
    D, b = problem(n=16, k=6, m=40, common=1.0)
    Q = gram(D)
    λ, _ = solve_nonnegative_qp(Q, b)
    ours = (λ[:, None] @ D).squeeze(1).norm(dim=1)
    inverse = torch.linalg.inv(Q)
    printed, _ = solve_nonnegative_qp(inverse, b)
    d = (inverse @ printed[:, :, None]).squeeze(2)  # minimises dᵀ Q d over d + b >= 0
    theirs = (D.transpose(1, 2) @ (inverse @ d[:, :, None])).squeeze(2)
    assert ((D @ theirs[:, :, None]).squeeze(2) + b).min() > -1e-6
    assert (theirs.norm(dim=1) >= ours * (1 - 1e-9)).all()
    assert (theirs.norm(dim=1) / ours).mean() > 1.01


def test_satisfied_constraints_need_no_step_and_infinite_ones_do_not_matter():
    D, b = problem(n=6)
    λ, feasible = solve_nonnegative_qp(gram(D), b.abs())
    assert feasible.all()
    assert (λ == 0).all()
    b_free = b.clone()
    b_free[:, ::2] = torch.inf
    λ, _ = solve_nonnegative_qp(gram(D), b_free)
    expected, _ = solve_nonnegative_qp(gram(D[:, 1::2]), b[:, 1::2])
    torch.testing.assert_close(λ[:, 1::2], expected)
    assert (λ[:, ::2] == 0).all()


def test_a_bad_program_fails_alone():
    D, b = problem(n=4)
    expected, _ = solve_nonnegative_qp(gram(D), b)
    Q = gram(D)
    Q[1, 0, 0], b[2, 3] = torch.nan, torch.nan
    λ, feasible = solve_nonnegative_qp(Q, b)
    assert feasible.tolist() == [True, False, False, True]
    torch.testing.assert_close(λ[[0, 3]], expected[[0, 3]])


def test_unit_scale_does_not_matter():
    D, b = problem(n=5)
    λ, _ = solve_nonnegative_qp(gram(D), b)
    scaled, _ = solve_nonnegative_qp(gram(D * 1e-5), b * 1e3)
    torch.testing.assert_close(scaled, λ * 1e13, rtol=1e-6, atol=0)


def test_gram_in_slices():
    D, _ = problem(n=3, k=4, m=2 * SLICE_ON_CPU + 103)
    torch.testing.assert_close(gram(D), D @ D.transpose(1, 2))
