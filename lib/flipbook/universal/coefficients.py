"""λ of CMLU: which other vectors an image meets along with the one that it trains, and how strongly."""

import torch
from torch import Tensor

from flipbook.universal.training import COINS, SCORES, VALUES, Rows

T_LAWS = ("binomial", "uniform")
VALUE_LAWS = ("uniform", "binary")


def size(rows: Rows, labels: int, t_law: str) -> Tensor:
    """t, how many other vectors each row meets, (n,) in 0 .. labels - 1.

    "binomial": every other vector with probability 1/2 (released code). "uniform": all sizes alike (Algorithm 1).
    """
    if t_law == "uniform":
        return (rows.draw(1, COINS)[:, 0] * labels).long()
    return (rows.draw(labels - 1, COINS) < 0.5).sum(dim=1)


def scores(rows: Rows, own: Tensor, labels: int) -> Tensor:
    """Uniform numbers in [0, 1) for every vector (n, labels), 0 for the row's own."""
    return rows.draw(labels, SCORES).scatter_(1, own[:, None], 0.0)


def largest(score: Tensor, own: Tensor, t: Tensor) -> Tensor:
    """Mask of the t vectors with the largest scores, the row's own apart, (n, labels) of bool."""
    ranked = score.scatter(1, own[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)
    chosen = torch.arange(score.shape[1], device=score.device) < t[:, None]
    return torch.zeros_like(chosen).scatter(1, ranked, chosen)


def draw(rows: Rows, own: Tensor, labels: int, t_law: str, values: str) -> Tensor:
    """λ of each row, (n, labels) of float64: t random entries are uniform in (0, 1], or 1; the rest is 0.

    One λ an image, as in the released code; Algorithm 1 has one a batch. The row's own entry is 0.
    """
    chosen = largest(scores(rows, own, labels), own, size(rows, labels, t_law))
    return chosen * (1 - rows.draw(labels, VALUES) if values == "uniform" else 1.0)
