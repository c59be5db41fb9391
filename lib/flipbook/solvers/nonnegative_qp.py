"""Many small non-negative quadratic programs at once: the core of JMA.

For every image of a batch, find

    λ* = argmin over λ >= 0 of  ½ λᵀ Q λ + bᵀ λ,      Q = D Dᵀ (k × k),

the dual of "the shortest δ with D δ + b >= 0", whose solution is δ* = Dᵀ λ* (JMA, Eqs. 23 and 24; the inverse printed
in Eqs. 22 and 23 must not be there: it makes δ feasible but longer than necessary).
"""

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

SLICE_ON_CPU, SLICE = 1 << 12, 1 << 18  # columns at a time: what a processor's cache holds, and a bound on memory


def solve_nonnegative_qp(Q: Tensor, b: Tensor, tolerance: float = 1e-9) -> tuple[Tensor, Tensor]:
    """Solve a batch of non-negative quadratic programs in float64, by block principal pivoting.

    Júdice and Pires 1994: a handful of batched linear solves. The JMA paper takes coordinate descent, which finds the
    same solution slowly where rows share directions.

    Parameters
    ----------
    Q : Tensor (N, k, k)
        Symmetric, positive semi-definite.
    b : Tensor (N, k)
        Linear terms; +inf takes a constraint out.
    tolerance : float
        On the KKT residual, relative to the scale of b. A program that misses it is solved again on the host.

    Returns
    -------
    λ : Tensor (N, k) of float64
        Unique where the active rows are independent; Dᵀ λ is unique always.
    feasible : Tensor (N,) of bool
        False where no δ satisfies D δ + b >= 0 (the program is unbounded below), or Q or b is not finite; λ is 0 there.
    """
    Q, b = Q.double(), b.double()
    counts = torch.isfinite(b)
    usable = torch.isfinite(Q).flatten(1).all(dim=1) & ~torch.isnan(b).any(dim=1) & ~torch.isneginf(b).any(dim=1)
    keep = counts & usable[:, None]
    b = torch.where(keep, b, 1.0)  # a constraint taken out: never violated, λ stays 0
    Q = torch.where(keep[:, :, None] & keep[:, None, :], Q, 0.0)

    # Q of logits' gradients spans many orders of magnitude between images: solve at unit scale, undo at the end
    scale_Q = _positive(Q.diagonal(dim1=1, dim2=2).mean(dim=1))
    scale_b = _positive((b.abs() * keep).amax(dim=1))
    Q, b = Q / scale_Q[:, None, None], b / scale_b[:, None]

    λ = _block_pivoting(Q, b)
    feasible = usable.clone()
    for i in (~(kkt_residual(Q, b, λ) <= tolerance) & usable).nonzero().flatten().tolist():
        solution = _least_distance(Q[i].cpu().numpy(), b[i].cpu().numpy(), tolerance)
        feasible[i] = solution is not None
        λ[i] = 0.0 if solution is None else torch.from_numpy(solution).to(λ)
    λ = λ * (feasible[:, None] & keep)
    return λ * (scale_b / scale_Q)[:, None], feasible


def kkt_residual(Q: Tensor, b: Tensor, λ: Tensor) -> Tensor:
    """Largest violation (N,) of λ >= 0, μ = Q λ + b >= 0 and λ μ = 0."""
    μ = (Q @ λ[:, :, None]).squeeze(2) + b
    return torch.stack([-λ, -μ, (λ * μ).abs()]).amax(dim=(0, 2)).clamp(min=0)


def gram(D: Tensor) -> Tensor:
    """Q = D Dᵀ (N, k, k) in float64 for D (N, k, m), by slices of columns."""
    columns = SLICE_ON_CPU if D.device.type == "cpu" else SLICE
    Q = D.new_zeros(len(D), D.shape[1], D.shape[1], dtype=torch.float64)
    for part in D.split(columns, dim=2):
        part = part.double()
        Q.baddbmm_(part, part.transpose(1, 2))
    return Q


def _positive(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, 1.0)


def _block_pivoting(Q: Tensor, b: Tensor, patience: int = 3) -> Tensor:
    """Exchange whole sets of variables between free (μ = 0) and bound (λ = 0) until both signs are right."""
    k = b.shape[1]
    diagonal = Q.diagonal(dim1=1, dim2=2)
    ridge = 1e-13 * diagonal.mean(dim=1, keepdim=True).clamp(min=1e-30)  # keeps a singular free block solvable
    free = b < 0
    fewest = torch.full_like(b[:, 0], k + 1)
    swaps_left = torch.full_like(fewest, patience)
    λ = torch.zeros_like(b)
    index = torch.arange(k, device=b.device)
    for _ in range(10 + 3 * k):
        both = free[:, :, None] & free[:, None, :]
        M = torch.where(both, Q, 0.0) + torch.diag_embed(torch.where(free, ridge, _positive(diagonal)))
        λ = torch.linalg.solve(M, torch.where(free, -b, 0.0))
        μ = (Q @ λ[:, :, None]).squeeze(2) + b
        wrong = torch.where(free, λ < -1e-12, μ < -1e-12)
        count = wrong.sum(dim=1).to(b)
        if not count.any():
            break
        improved = count < fewest
        swaps_left = torch.where(improved, patience, swaps_left - 1)
        fewest = torch.minimum(fewest, count)
        last = torch.where(wrong, index, -1).amax(dim=1, keepdim=True)
        swap = torch.where((swaps_left >= 0)[:, None], wrong, wrong & (index == last))
        free = free ^ swap
    return λ.clamp(min=0)


def _least_distance(Q: np.ndarray, b: np.ndarray, tolerance: float) -> np.ndarray | None:
    """One program through Lawson and Hanson's least-distance form, which also recognises an infeasible one (then None).

    With Q = L Lᵀ the constraints D δ >= -b have the same solution as L y >= -b; u = nnls([Lᵀ; -bᵀ], e_last) leaves the
    residual r = e_last - E u, and λ = u / r_last.
    """
    values, vectors = np.linalg.eigh(Q)
    L = vectors * np.sqrt(values.clip(min=0))
    E = np.vstack([L.T, -b])
    e = np.zeros(len(E))
    e[-1] = 1.0
    try:
        u, _ = scipy.optimize.nnls(E, e, maxiter=100 * len(b))
    except RuntimeError:
        return None
    r = e - E @ u
    if r[-1] <= tolerance:
        return None
    return u / r[-1]
