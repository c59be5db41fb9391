"""The flattest step: against the programme as it is written down, closed forms, and the limits of feasibility."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from flipbook.solvers import minimax_step as module
from flipbook.solvers import processes
from flipbook.solvers.minimax_lp import solve_minimax_lp
from flipbook.solvers.minimax_step import minimax_step


def as_written(G, β):
    """Smallest s with G r <= β and |r_i| <= s <= 1 from m + 1 variables and n + 2 m rows, inf if infeasible."""
    n, m = G.shape
    one, eye = np.ones((m, 1)), np.eye(m)
    A = np.vstack([np.hstack([G, np.zeros((n, 1))]), np.hstack([eye, -one]), np.hstack([-eye, -one])])
    answer = linprog(
        np.r_[np.zeros(m), 1], A_ub=A, b_ub=np.r_[β, np.zeros(2 * m)], bounds=[(-1, 1)] * m + [(0, 1)], method="highs"
    )
    return answer.fun if answer.status == 0 else np.inf


def random_programme(seed, n=6, m=40, scale=1.0):
    """Some constraints violated, some not, with rows of very different length."""
    g = np.random.default_rng(seed)
    G = g.normal(size=(n, m)) * 10.0 ** g.uniform(-4, 0, size=(n, 1))
    return G, scale * g.normal(size=n) * np.abs(G).sum(axis=1) * 0.3


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_equals_the_programme_as_written(scale):
    outcomes = set()
    for seed in range(12):
        G, β = random_programme(seed, scale=scale)
        r, s = minimax_step(G, β)
        expected = as_written(G, β)
        outcomes.add(np.isinf(expected))
        assert s == pytest.approx(expected, rel=1e-6, abs=1e-9)
        if np.isfinite(s):
            assert np.abs(r).max(initial=0) <= s * (1 + 1e-9)
            assert (G @ r <= β + 1e-6 * np.abs(G).sum(axis=1)).all()
        else:
            assert not r.any()
    assert outcomes == {True, False} if scale == 1.0 else outcomes


def test_weak_duality_proves_the_optimum():
    """Any ν >= 0 bounds s from below by -νᵀβ / ‖Gᵀν‖₁; the best ν of n = 2 rows, found on a grid, meets s."""
    G, β = random_programme(3, n=2, m=200)
    β = -np.abs(β)
    _, s = minimax_step(G, β)
    angle = np.linspace(0, np.pi / 2, 20001)
    ν = np.stack([np.cos(angle) / np.abs(G[0]).sum(), np.sin(angle) / np.abs(G[1]).sum()], axis=1)
    bounds = -(ν @ β) / np.abs(ν @ G).sum(axis=1)
    assert bounds.max() <= s * (1 + 1e-9)
    assert bounds.max() == pytest.approx(s, rel=1e-4)


def test_one_constraint_has_a_closed_form():
    """The size is s = -β / ‖g‖₁, the step r = -s sign(g)."""
    g = np.random.default_rng(0).normal(size=50)
    r, s = minimax_step(g[None], np.array([-2.0]))
    assert s == pytest.approx(2 / np.abs(g).sum())
    np.testing.assert_allclose(r, -s * np.sign(g), atol=1e-12)


def test_a_hairbreadth_violation_beside_constraints_with_much_room():
    """At the rounding of float32 the room of the others is 1e8 times the step: s is that of the one constraint."""
    G, β = random_programme(4, n=20)
    β = np.abs(G).sum(axis=1) * 0.5
    β[7] = -1e-9 * np.abs(G[7]).sum()
    r, s = minimax_step(G, β)
    assert s == pytest.approx(1e-9, rel=1e-6)
    np.testing.assert_allclose(r, -s * np.sign(G[7]), atol=1e-15)


def test_constraints_far_off_are_taken_in_when_they_are_violated():
    """The second row pushes s to 5 times what the first needs alone; there the third, with room for 4 times, is hit."""
    G = np.array([[1.0, 0.1, 0.1], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    β = np.array([-0.05, 0.004, 0.2])
    assert minimax_step(G[:2], β[:2])[1] == pytest.approx(0.23)
    r, s = minimax_step(G, β)
    assert s == pytest.approx(0.26)
    assert as_written(G, β) == pytest.approx(0.26)
    assert (G @ r <= β + 1e-9).all()


def test_constraints_that_hold_need_no_step():
    G, β = random_programme(0)
    r, s = minimax_step(G, np.abs(β))
    assert s == 0
    assert not r.any()


def test_pixels_without_influence_stay():
    G, β = random_programme(1, n=2)
    G[:, 5:10] = 0
    r, s = minimax_step(G, -np.abs(β))
    assert s > 0
    assert not r[5:10].any()


@pytest.mark.parametrize(
    ("G", "β"),
    [
        ([[0.0, 0.0]], [-1.0]),  # no gradient
        ([[1.0, 1.0]], [-2.1]),  # a step beyond 1
        ([[1.0, -1.0], [-1.0, 1.0]], [-0.1, -0.1]),  # two that contradict
        ([[np.nan, 1.0]], [-0.1]),
        ([[1.0, 1.0]], [np.nan]),
        ([[1.0, 1.0]], [-np.inf]),
    ],
)
def test_infeasible_or_not_a_number(G, β):
    r, s = minimax_step(np.array(G), np.array(β))
    assert np.isinf(s)
    assert not r.any()


def test_infinite_room_takes_a_constraint_out():
    G, β = random_programme(2)
    β[0], β[1] = np.inf, -abs(β[1])
    _, s = minimax_step(G, β)
    _, without = minimax_step(G[1:], β[1:])
    assert s == pytest.approx(without)


def test_a_batch_is_its_programmes_one_by_one():
    programmes = [random_programme(seed) for seed in range(4)]
    G = torch.tensor(np.stack([G for G, _ in programmes]), dtype=torch.float32)
    β = torch.tensor(np.stack([β for _, β in programmes]), dtype=torch.float32)
    r, s = solve_minimax_lp(G, β)
    assert r.dtype == torch.float32
    assert s.dtype == torch.float64
    for i in range(4):
        alone, s_i = minimax_step(G[i].double().numpy(), β[i].double().numpy())
        assert float(s[i]) == s_i
        np.testing.assert_allclose(r[i].numpy(), alone, rtol=1e-6)
    r, s = solve_minimax_lp(G[:0], β[:0])
    assert r.shape == (0, 40)
    assert s.shape == (0,)


@pytest.mark.parametrize("few", [10, 40])
def test_tied_pixels_change_nothing(few, monkeypatch):
    """Most pixels are tied by the signs of a sample; whatever it suggests, the optimum is that of all pixels."""
    monkeypatch.setattr(module, "FEW", few)
    for seed in range(8):
        G, β = random_programme(seed, n=6, m=400, scale=0.5)
        r, s = minimax_step(G, β)
        assert s == pytest.approx(as_written(G, β), rel=1e-6, abs=1e-9)
        if np.isfinite(s):
            assert np.abs(r).max(initial=0) <= s * (1 + 1e-9)
            assert (G @ r <= β + 1e-6 * np.abs(G).sum(axis=1)).all()


def test_a_photograph_s_worth_of_pixels_is_solved_exactly():
    """20 rows of 60,000 pixels against HiGHS on the whole programme."""
    g = np.random.default_rng(0)
    G = g.normal(size=(20, 60_000)) * np.abs(g.normal(size=60_000)) ** 3
    β = g.normal(size=20) * np.abs(G).sum(axis=1) * 0.02
    r, s = minimax_step(G, β)
    reach = np.abs(G).sum(axis=1)
    _, τ, _ = module._free(G / reach[:, None], β / reach / (-β / reach).max())
    assert s == pytest.approx((-β / reach).max() / τ, rel=1e-6)
    assert (G @ r <= β + 1e-6 * reach).all()


def test_processes_give_the_same_and_a_killed_one_is_replaced():
    programmes = [random_programme(seed) for seed in range(5)]
    G, β = (torch.tensor(np.stack(each)) for each in zip(*programmes, strict=True))
    r, s = solve_minimax_lp(G, β, workers=1)
    for _ in range(2):
        other_r, other_s = solve_minimax_lp(G, β, workers=2)
        assert torch.equal(other_r, r)
        assert torch.equal(other_s, s)
        worker = processes._idle.get_nowait()
        worker._process.kill()
        processes._idle.put(worker)


def test_nothing_is_asked_of_processes_for_one_call():
    assert processes.call_each(max, [(1, 2)], workers=8) == [2]
    assert processes.call_each(max, [], workers=8) == []
