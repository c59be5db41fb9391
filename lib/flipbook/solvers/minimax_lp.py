"""The flattest step that meets linear constraints: the linear programme of MLA-LP, one image at a time on the host.

    minimise s   over r and s   subject to   G r <= β,   |r_i| <= s <= 1                       (n rows, m pixels)

Written down as it stands it has 2 m further rows. With r = -q / τ and s = 1 / τ it becomes

    maximise τ   over q and τ   subject to   G q + β τ >= 0,   |q_i| <= 1,   τ >= 1,

where the pixels have bounds in place of rows: a basis has n columns, and the dual simplex walks past many bounds in one
step. HiGHS then takes about 0.05 s at n = 20 and 0.25 s at n = 81 for m = 12288 on one core. The first form takes 20
times as long at m = 1000 already, HiGHS' interior point 3 times; its presolve costs more than it saves, and taking in
rows one at a time gains nothing. All of these are exact: by weak duality any ν >= 0 gives the bound
s >= -νᵀβ / ||Gᵀν||_1, and the multipliers of the rows meet it.
"""

import numpy as np
import scipy.optimize
import torch
from torch import Tensor


def solve_minimax_lp(G: Tensor, β: Tensor) -> tuple[Tensor, Tensor]:
    """Solve one programme an image, one after the other.

    Parameters
    ----------
    G : Tensor (N, n, m)
        Gradients of the n constrained quantities.
    β : Tensor (N, n)
        How much each of them may grow; negative where it must fall. +inf takes a constraint out.

    Returns
    -------
    r : Tensor (N, m)
        The step, 0 where s is 0 or the programme is infeasible.
    s : Tensor (N,) of float64
        Its largest entry, in [0, 1]; inf where no step with entries in [-1, 1] meets the constraints, or G or β is NaN.
    """
    r = torch.zeros(len(G), G.shape[2], dtype=torch.float64)
    s = torch.zeros(len(G), dtype=torch.float64)
    host = (t.detach().cpu().double().numpy() for t in (G, β))
    for i, (G_i, β_i) in enumerate(zip(*host, strict=True)):
        step, s[i] = minimax_step(G_i, β_i)
        r[i] = torch.from_numpy(step)
    return r.to(G), s.to(G.device)


def minimax_step(G: np.ndarray, β: np.ndarray) -> tuple[np.ndarray, float]:
    """One programme: r (m,) and s for G (n, m) and β (n,) in float64; see `solve_minimax_lp`."""
    r = np.zeros(G.shape[1])
    reach = np.abs(G).sum(axis=1)  # by how much the largest step allowed, s = 1, can change each quantity
    if not (np.isfinite(reach).all() and (β > -np.inf).all()) or (-β > reach).any():
        return r, np.inf
    if (β >= 0).all():
        return r, 0.0
    # A row with β_j >= s reach_j cannot be violated. Start with those that can be up to a few times the s that the
    # hardest one needs by itself; rows with much more room would only spoil the numbers. Exact: the rest is looked at.
    alone = (-β / np.where(reach > 0, reach, 1)).max()
    limit, columns = 4 * alone, G.any(axis=0)
    while True:
        rows = β < min(limit, 1.0) * reach
        r[columns], s = _flattest(G[np.ix_(rows, columns)], β[rows], reach[rows], alone)
        if limit >= 1 or not (~rows & (G @ r > β)).any():
            return r, s
        limit = max(4 * limit, s)


def _flattest(G: np.ndarray, β: np.ndarray, reach: np.ndarray, alone: float) -> tuple[np.ndarray, float]:
    """Solve the second form with τ' = alone τ in place of τ, which lies in [alone, 1]."""
    # Rows of unit 1-norm: the simplex then takes about n to 2 n steps; with larger entries it can take thousands.
    A = -np.hstack([G, β[:, None] / alone]) / reach[:, None]
    bounds = np.vstack([np.tile([-1.0, 1.0], (A.shape[1] - 1, 1)), [[alone, 1.0]]])
    objective = np.zeros(A.shape[1])
    objective[-1] = -1.0
    answer = scipy.optimize.linprog(
        objective, A_ub=A, b_ub=np.zeros(len(A)), bounds=bounds, method="highs-ds", options={"presolve": False}
    )
    if answer.status != 0:
        return np.zeros(G.shape[1]), np.inf
    s = alone / answer.x[-1]
    return -s * answer.x[:-1], float(s)
