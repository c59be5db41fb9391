"""The flattest step that meets linear constraints: the linear programme of MLA-LP for one image, exactly.

    minimise s   over r and s   subject to   G r <= β,   |r_i| <= s <= 1                       (n rows, m pixels)

Written down as it stands it has 2 m further rows. With r = -q / τ and s = 1 / τ it becomes

    maximise τ   over q and τ   subject to   G q + β τ >= 0,   |q_i| <= 1,   τ >= 1,

where the pixels have bounds in place of rows, and HiGHS' dual simplex walks past many of them in one step. At the
optimum with multipliers ν >= 0 of the rows, q_i = sign((Gᵀν)_i) for all but n pixels. So, where there are many pixels,
most are tied together with the signs that a sample of pixels suggests, and only those whose sign is in doubt stay free:
a programme of a few thousand columns. Its multipliers show which ties were wrong; where none was, its solution is that
of the whole programme, since any ν >= 0 bounds s from below by -νᵀβ / ||Gᵀν||_1, and this ν meets it.

On one core of a small machine a programme of 20 rows takes about 0.1 s for 64 x 64 pixels of three channels, 0.4 s for
224 x 224 and 1.6 s for 299 x 299, one of 81 rows two to three times as long (benchmarks/programmes.py). This module
knows neither torch nor images, so that worker processes start fast.
"""

import numpy as np
import scipy.optimize

FEW = 8192  # free pixels to begin with; programmes with at most twice as many are solved as they are
GROWTH = 3  # how many times as many stay free where most ties were wrong
EXACT = 1e-9  # relative: by how much a tied pixel may pull the wrong way


def minimax_step(G: np.ndarray, β: np.ndarray) -> tuple[np.ndarray, float]:
    """Solve one programme.

    Parameters
    ----------
    G : array (n, m) of float64
        Gradients of the constrained quantities.
    β : array (n,) of float64
        How much each may grow; negative where it must fall. +inf takes a constraint out.

    Returns
    -------
    r : array (m,)
        The step, 0 where s is 0 or the programme is infeasible.
    s : float
        Its largest entry, in [0, 1]; inf where no step with entries in [-1, 1] meets the constraints, or G or β is NaN.
    """
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
    A, b = G / reach[:, None], β / (alone * reach)
    q, τ = _tied(A, b) if A.shape[1] > 2 * FEW else _free(A, b)[:2]
    if not τ > alone * (1 - EXACT):
        return np.zeros(G.shape[1]), np.inf
    s = min(alone / τ, 1.0)
    return -s * q, float(s)


def _free(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Maximise τ <= 1 over A q + b τ >= 0 with |q_i| <= 1: q, τ and the multipliers ν of the rows.

    q = 0 and τ = 0 meet the constraints, so that there is always a solution.
    """
    columns = A.shape[1]
    bounds = np.vstack([np.tile([-1.0, 1.0], (columns, 1)), [[0.0, 1.0]]])
    objective = np.append(np.zeros(columns), -1.0)
    answer = scipy.optimize.linprog(
        objective,
        A_ub=-np.hstack([A, b[:, None]]),
        b_ub=np.zeros(len(A)),
        bounds=bounds,
        method="highs-ds",
        options={"presolve": False},
    )
    if answer.status != 0:
        return np.zeros(columns), 0.0, np.zeros(len(A))
    return answer.x[:-1], answer.x[-1], -answer.ineqlin.marginals


def _tied(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The same, q and τ, with most pixels tied to one variable by their signs."""
    m = A.shape[1]
    length, few = np.linalg.norm(A, axis=0), FEW
    while few < m // 2:
        sample = np.random.default_rng(0).choice(m, few, replace=False)
        pull = _free(A[:, sample], b * few / m)[2] @ A
        free = np.argpartition(np.abs(pull) / length, few)[:few]
        while len(free) < 2 * few:
            signs = np.sign(pull)
            signs[free] = 0.0
            q, τ, ν = _free(np.hstack([A[:, free], (A @ signs)[:, None]]), b)
            wrong = np.flatnonzero(signs * (ν @ A) < -EXACT * length * ν.max())
            if not len(wrong) and q[-1] == 1.0:
                signs[free] = q[:-1]
                return signs, τ
            free = np.union1d(free, wrong)
            if not len(wrong):
                break
        few *= GROWTH
    return _free(A, b)[:2]
