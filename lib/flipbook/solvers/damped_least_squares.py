"""Damped least squares (Levenberg 1944, Marquardt 1963) for many small systems at once, in their dual form.

The step that lowers a linearised residual r + J δ without going far,

    δ = argmin ½ Σ_i w_i (r + J δ)_i² + ½ λ ||δ||² = -Jᵀ y,      (J Jᵀ + λ diag(w)⁻¹) y = r,

needs a system of as many unknowns as there are residuals, however many variables δ has.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Damping:
    """The rule for λ: divided by f_de after an iteration that lowered the objective, else multiplied by f_in."""

    start: float
    f_in: float
    f_de: float

    def after(self, λ: Tensor, fell: Tensor) -> Tensor:
        """Follow an iteration that lowered the objective or not, (N,) of bool; λ (N,)."""
        return torch.where(fell, λ / self.f_de, λ * self.f_in)


def damped_multipliers(
    Q: Tensor, residual: Tensor, weights: Tensor, damping: Tensor, counts: Tensor | None = None
) -> Tensor:
    """Solve (Q + λ diag(w)⁻¹) y = r for every image, in float64; the step is δ = -Jᵀ y.

    Parameters
    ----------
    Q : Tensor (N, m, m)
        J Jᵀ.
    residual : Tensor (N, m)
        r.
    weights : Tensor (N, m)
        w >= 0; a residual without weight has y = 0.
    damping : Tensor (N,)
        λ > 0.
    counts : Tensor (N, m) of bool, optional
        False where a row is only there to fill up: y = 0, and no other y depends on it.

    Returns
    -------
    Tensor (N, m) of float64
        y; 0 for an image whose system is not finite.
    """
    at_work = weights > 0 if counts is None else counts & (weights > 0)
    ridge = torch.where(at_work, damping.double()[:, None] / weights.double().where(at_work, 1.0), 1.0)
    M = torch.where(at_work[:, :, None] & at_work[:, None, :], Q.double(), 0.0) + torch.diag_embed(ridge)
    rhs = torch.where(at_work, residual.double(), 0.0)
    sound = M.isfinite().flatten(1).all(dim=1) & rhs.isfinite().all(dim=1)
    M = torch.where(sound[:, None, None], M, torch.eye(M.shape[1]).to(M))
    L, _ = torch.linalg.cholesky_ex(M)
    y = torch.cholesky_solve(rhs[:, :, None], L).squeeze(2)
    return torch.where(sound[:, None] & y.isfinite(), y, 0.0)
