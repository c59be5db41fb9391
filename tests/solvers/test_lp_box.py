"""The lp-box ADMM: its projections, one step against the paper's wording, and small problems solved by enumeration."""

from itertools import combinations

import pytest
import torch

from flipbook.solvers.lp_box import (
    LpBox,
    Schedule,
    group_norms,
    largest_entries,
    project_box,
    project_sphere,
    shrink_groups,
)


def minimise_binary(gradient, start, ones, steps=2000, labels=None, group_weight=0.0):
    """Look for binary G with exactly k ones and a small f(G) + λ2 Σ_i ||G^i|| (SAPF, Eqs. 8 to 15)."""
    box = LpBox(start, ones, Schedule(steps, start[0].numel()), labels, group_weight)
    for step in range(steps):
        box.step(gradient(box.G), step)
    return largest_entries(box.G, ones)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def subsets(N, k):
    """All binary vectors of length N with k ones."""
    chosen = torch.tensor(list(combinations(range(N), k)))
    return torch.zeros(len(chosen), N, dtype=torch.float64).scatter_(1, chosen, 1.0)


@pytest.mark.parametrize("shape", [(5, 12), (3, 3, 4, 4)])
def test_projections_land_on_their_sets_and_nowhere_nearer(shape):
    A = 3 * noise(*shape)
    box, sphere = project_box(A), project_sphere(A)
    assert box.min() >= 0
    assert box.max() <= 1
    N = A[0].numel()
    torch.testing.assert_close((sphere - 0.5).flatten(1).square().sum(1), torch.full((len(A),), N / 4).double())
    for seed in range(20):  # any other point of the set is farther
        other = project_sphere(sphere + 0.1 * noise(*shape, seed=seed))
        assert ((other - A).flatten(1).norm(dim=1) >= (sphere - A).flatten(1).norm(dim=1) - 1e-12).all()


def test_binary_vectors_stay_where_they_are():
    G = (noise(4, 30) > 0).double()
    assert torch.equal(project_box(G), G)
    torch.testing.assert_close(project_sphere(G), G, rtol=0, atol=1e-12)


def test_the_centre_of_the_sphere_is_no_accident():
    assert torch.equal(project_sphere(torch.full((2, 6), 0.5)), torch.full((2, 6), 0.5))


def test_every_problem_has_its_own_sphere():
    A = 2 * noise(3, 8)
    torch.testing.assert_close(project_sphere(A)[1:2], project_sphere(A[1:2]), rtol=0, atol=0)


def test_shrinking_groups_minimises_what_it_says():
    """Against a fine search over each group's length: the minimiser is a shorter A^i in the same direction."""
    A, labels = noise(2, 3, 2, 2), torch.tensor([[[0, 1], [1, 0]], [[0, 0], [2, 1]]])
    Y = shrink_groups(A, labels, 3, 0.9)
    lengths = torch.linspace(0, 1, 2001).double()
    for n in range(2):
        for i in range(int(labels[n].max()) + 1):
            a = A[n][:, labels[n] == i].flatten()
            cost = 0.9 * lengths * a.norm() + 0.5 * ((1 - lengths) * a.norm()) ** 2
            torch.testing.assert_close(Y[n][:, labels[n] == i].flatten(), a * lengths[cost.argmin()], rtol=0, atol=2e-3)
    expected = torch.stack([A[0][:, labels[0] == i].norm() for i in range(2)])
    torch.testing.assert_close(group_norms(A, labels, 3)[0, :2], expected)
    assert torch.equal(shrink_groups(A, labels, 3, 0.0), A)
    assert (shrink_groups(0 * A, labels, 3, 0.5) == 0).all()


def plain_step(G, Z, z3, gradient, k, η, ρ, labels, λ2):
    """Eqs. 11, 13, 14 and 15 of one problem, word by word, with the dual ascent of Eq. 9."""
    ρ1, ρ2, ρ3, ρg = ρ
    Y1 = (G + Z[0] / ρ1).clamp(0, 1)
    a = G + Z[1] / ρ2 - 0.5
    Y2 = 0.5 + len(G) ** 0.5 / 2 * a / a.norm()
    C = G + Z[2] / ρg
    Y3 = torch.zeros_like(C)
    for i in labels.unique():
        inside = labels == i
        Y3[inside] = max(0.0, 1 - λ2 / (ρg * float(C[inside].norm()))) * C[inside]
    pull = gradient + ρ1 * (G - Y1) + ρ2 * (G - Y2) + Z[0] + Z[1] + z3 + ρ3 * (G.sum() - k)
    G = G - η * (pull + Z[2] + ρg * (G - Y3))
    Z = [Z[0] + ρ1 * (G - Y1), Z[1] + ρ2 * (G - Y2), Z[2] + ρg * (G - Y3)]
    return G, Z, z3 + ρ3 * (G.sum() - k)


@pytest.mark.parametrize("λ2", [0.0, 0.02])
def test_equals_the_papers_wording_step_by_step(λ2):
    N, k, schedule = 20, 6, Schedule(100, 20)
    b, labels = 0.01 * noise(3, N), torch.arange(N).expand(3, N) // 5
    box = LpBox(torch.ones(3, N).double(), torch.full((3,), k), schedule, labels, λ2)
    plain = [(torch.ones(N).double(), [torch.zeros(N).double() for _ in range(3)], 0.0) for _ in range(3)]
    for t in range(100):
        plain = [
            plain_step(*state, b[n] * state[0], k, schedule.step_size(t), schedule.penalties(t), labels[n], λ2)
            for n, state in enumerate(plain)
        ]
        box.step(b * box.G, t)
        if t == 40:
            box = box[torch.tensor([2, 0])]
            plain, b = [plain[2], plain[0]], b[[2, 0]]
    torch.testing.assert_close(box.G, torch.stack([G for G, _, _ in plain]), rtol=0, atol=1e-9)


def test_the_schedule_is_the_published_one_and_compresses():
    full, short = Schedule(2000), Schedule(200)
    η, ρ = 0.1, [5e-3, 5e-3, 1e-4, 5e-3]
    for t in range(2000):
        assert full.step_size(t) == pytest.approx(η)
        assert full.penalties(t) == pytest.approx(ρ)
        ρ = [min(1.01 * r, cap) for r, cap in zip(ρ, (20, 20, 0.01, 100), strict=True)]
        η = max(0.9 * η, 1e-3) if t % 50 == 49 else η
    for t in range(200):
        assert short.step_size(t) == pytest.approx(full.step_size(10 * t))
        assert short.penalties(t) == pytest.approx(full.penalties(10 * t))


@pytest.mark.parametrize("size", [10, 3072, 268203])
@pytest.mark.parametrize("steps", [200, 2000])
def test_the_sum_is_stable_at_every_size_and_step(size, steps):
    """η N ρ3 < 4/3 throughout; the paper's cap of 100, or ρ3 without 3072 / N, is far beyond."""
    schedule = Schedule(steps, size)
    assert max(schedule.step_size(t) * size * schedule.penalties(t)[2] for t in range(steps)) < 4 / 3
    assert Schedule(10, size).penalties(10**9) == Schedule(10, size).penalties(10**6)


def test_the_bound_on_stability_is_sharp():
    """A gradient and a dual step on the mean alone: η N ρ3 below 4/3 dies out, above it grows."""
    largest = {}
    for product in (1.25, 1.40):
        mean, dual = 1.0, 0.0
        for _ in range(400):
            mean -= product * mean + dual
            dual += product * mean
        largest[product] = abs(mean)
    assert largest[1.25] < 1e-6
    assert largest[1.40] > 1e6


def test_exactly_k_ones_and_ties_go_by_place():
    G = torch.tensor([[0.5, 0.9, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0], [0.1, 0.2, 0.3, 0.4]])
    marked = largest_entries(G, torch.tensor([2, 3, 4]))
    assert marked.int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def share_of_smallest(b, k, steps):
    G = minimise_binary(lambda G: b.clone(), torch.ones_like(b), k, steps)
    assert torch.equal(G.sum(1), k)
    return (G & largest_entries(-b, k)).sum(1) / k


def test_a_linear_objective_keeps_its_smallest_coefficients():
    assert (share_of_smallest(0.1 * noise(4, 60), torch.tensor([5, 12, 30, 59]), steps=2000) == 1).all()


def test_an_objective_far_below_the_penalties_is_not_heard():
    """The ADMM is not scale-free: why SAPF has a normalised form beside the literal one."""
    k, b = torch.full((8,), 12), noise(8, 60)
    assert share_of_smallest(0.1 * b, k, steps=200).mean() > 0.95
    assert share_of_smallest(1e-6 * b, k, steps=200).mean() < 0.8


def test_small_quadratic_problems_against_enumeration():
    """495 subsets each: feasible always, the optimum in most, and never far from it."""
    N, k, n = 12, 4, 20
    root, b = noise(n, N, N), noise(n, N, seed=1)
    Q = root @ root.transpose(1, 2) / N
    G = minimise_binary(
        lambda G: (Q @ G[:, :, None]).squeeze(2) + b, torch.ones(n, N).double(), torch.full((n,), k), steps=1000
    ).double()
    every = subsets(N, k)
    costs = 0.5 * torch.einsum("sj,njk,sk->ns", every, Q, every) + b @ every.T
    ours = 0.5 * torch.einsum("nj,njk,nk->n", G, Q, G) + (b * G).sum(1)
    assert (G.sum(1) == k).all()
    gap = (ours - costs.amin(1)) / (costs.mean(1) - costs.amin(1))  # 0: the optimum, 1: a subset at random
    assert (gap < 1e-9).double().mean() >= 0.7
    assert gap.max() < 0.15


def test_groups_gather_the_ones():
    b, labels = 0.01 * noise(6, 40), torch.arange(40).expand(6, 40) // 5
    touched = []
    for λ2 in (0.0, 1.0):
        G = minimise_binary(lambda G: b.clone(), torch.ones_like(b), torch.full((6,), 10), 400, labels, λ2)
        assert (G.sum(1) == 10).all()
        touched.append((group_norms(G.double(), labels, 8) > 0).sum(1).double().mean())
    assert touched[1] < touched[0] - 1


def test_settled_means_binary_and_k_ones():
    N, k = 30, 8
    b = 0.2 * noise(3, N)
    box = LpBox(torch.ones_like(b), torch.full((3,), k), Schedule(400, N))
    assert not box.settled(0).any()
    for t in range(400):
        box.step(b.clone(), t)
    assert box.settled(400).all()
    assert ((box.G - box.G.round()).abs() < 2e-2).all()
    assert torch.equal(box.G.round().sum(1), torch.full((3,), float(k)).double())
