"""How far vectors are from orthogonal, and the pull towards it."""

import torch
from torch import Tensor


def cosines(U: Tensor, others: Tensor | None = None) -> Tensor:
    """Cosines between all vectors (K, ...) and all others (K', ...), (K, K'); 0 with a vector that is 0."""
    unit = _unit(U)[0]
    return unit @ (unit if others is None else _unit(others)[0]).T


def gradient(U: Tensor, turn: slice = slice(None)) -> Tensor:
    """Gradient (k, m) of mean_{ij} (ÛᵀÛ - I)²_{ij} with respect to the vectors of a slice of U (K, m).

        ∂/∂u_k = 4 / (K² |u_k|) Σ_{j≠k} c_kj (û_j - c_kj û_k)

    The soft constraint of the released code, mean over all K² entries of the cosines c. A vector of 0 has no pull.
    """
    unit, norm = _unit(U)
    c = unit[turn] @ unit.T
    mine = torch.arange(len(U), device=U.device)[turn]
    c.scatter_(1, mine[:, None], 0.0)
    pull = torch.addmm(unit[turn] * -c.square().sum(dim=1, keepdim=True), c, unit)
    return pull.mul_(4 / (len(U) ** 2 * norm[turn]))


def _unit(U: Tensor) -> tuple[Tensor, Tensor]:
    flat = U.flatten(1)
    norm = flat.norm(dim=1, keepdim=True).clamp(min=torch.finfo(U.dtype).eps)
    return flat / norm, norm
