"""The flattest step that meets linear constraints: the linear programme of MLA-LP, one image at a time on the host.

    minimise s   over r and s   subject to   G r <= β,   |r_i| <= s <= 1                       (n rows, m pixels)

Written down as it stands it has 2 m further rows. With r = -q / τ and s = 1 / τ it becomes

    maximise τ   over q and τ   subject to   G q + β τ >= 0,   |q_i| <= 1,   τ >= 1,

where the pixels have bounds in place of rows: a basis has n columns, and the dual simplex walks past many bounds in one
step. For m = 12288 on one core (HiGHS 1.12, without its presolve, which only costs) that takes about 0.1 s at n = 20 and 0.4 s at n = 81;
the first form takes 25 times as long at m = 1000 already, HiGHS' interior point 2 to 3 times, and adding rows as they are violated gains
nothing. All of them are exact; by weak duality any ν >= 0 proves it: s >= -νᵀβ / ||Gᵀν||_1.
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
    for i, (G_i, β_i) in enumerate(zip(G.detach().cpu().double().numpy(), β.detach().cpu().double().numpy(), strict=True)):
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
    rows, columns = β < reach, G.any(axis=0)  # what cannot be violated, and pixels without influence, stay out
    G, β = G[np.ix_(rows, columns)], β[rows]

    alone = (-β / reach[rows]).max()  # s of the hardest constraint by itself, so that τ' = alone τ is at most 1
    largest = np.abs(G).max(axis=1)
    A = -np.hstack([G, β[:, None] / alone]) / largest[:, None]
    bounds = np.vstack([np.tile([-1.0, 1.0], (A.shape[1] - 1, 1)), [[alone, 1.0]]])
    objective = np.zeros(A.shape[1])
    objective[-1] = -1.0
    answer = scipy.optimize.linprog(
        objective, A_ub=A, b_ub=np.zeros(len(A)), bounds=bounds, method="highs-ds", options={"presolve": False}
    )
    if answer.status != 0:
        return r, np.inf
    s = alone / answer.x[-1]
    r[columns] = -s * answer.x[:-1]
    return r, float(s)
