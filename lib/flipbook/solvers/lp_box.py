"""ADMM over binary vectors with exactly k ones: the lp-box method (Wu and Ghanem 2018) as SAPF uses it.

    minimise f(G) [+ λ2 Σ_i ||G^i||]   subject to   G in {0, 1}^N,  1'G = k

The binary vectors are where the box [0, 1]^N meets the sphere ||G - 1/2||² = N/4 (SAPF, Eq. 4). G is made to agree with
a copy Y1 in the box, a copy Y2 on the sphere and, where λ2 > 0, a copy Y3 with few groups; all agree as the penalties ρ
grow, while a gradient step at a time lowers f (Eqs. 8 to 15).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """Step size and penalties as functions of the number of steps made before: what SAPF's code uses, at any length.

    Parameters
    ----------
    steps : int
        Over how many steps the published 2000 are stretched or compressed; with fewer than 200 the penalties outrun G.
    size : int
        N, the length of G. The cardinality's penalty is published for N = 3072 and acts on a sum over all entries, so
        that it goes with 3072 / N: a gradient and a dual step on the mean of G are stable while η N ρ3 < 4/3.
    """

    steps: int
    size: int = 3072

    def step_size(self, step: int) -> float:
        """η: from 0.1 down by a tenth every 50 of 2000 steps, never below 1e-3."""
        return max(0.1 * 0.9 ** (step // max(1, self.steps // 40)), 1e-3)

    def penalties(self, step: int) -> tuple[float, float, float, float]:
        """ρ of box, sphere, cardinality and groups: up by 1 % in each of 2000 steps, until their caps.

        The paper's caps (20, 10, 100) name the groups' 100 for the cardinality, with which G diverges.
        """
        growth = math.exp(min(math.log(1.01) * 2000 / self.steps * step, 50.0))
        of_sum = 3072 / self.size
        starts_and_caps = ((5e-3, 20.0), (5e-3, 20.0), (1e-4 * of_sum, 0.01 * of_sum), (5e-3, 100.0))
        return tuple(min(start * growth, cap) for start, cap in starts_and_caps)


class LpBox:
    """G and its duals for n problems at once; `step` moves them once. Indexing selects problems.

    Parameters
    ----------
    start : Tensor (n, ...)
        G to begin with.
    ones : Tensor (n,) of int64
        k of every problem.
    schedule : Schedule
    labels : Tensor (n, ...) of int64, optional
        The group 0..m-1 of every entry. Where G has more entries than labels, its leading axis is shared: labels
        (n, H, W) put all channels of a pixel of G (n, channels, H, W) into one group.
    group_weight : float
        λ2.
    """

    def __init__(
        self,
        start: Tensor,
        ones: Tensor,
        schedule: Schedule,
        labels: Tensor | None = None,
        group_weight: float = 0.0,
    ):
        self.schedule, self.group_weight = schedule, group_weight
        self.G, self.ones = start.clone(), ones.to(start.dtype)
        self.labels = labels if group_weight > 0 else None
        self.groups = 0 if self.labels is None or not len(start) else int(labels.max()) + 1
        self.Z = [torch.zeros_like(start) for _ in range(2 if self.labels is None else 3)]
        self.z3 = torch.zeros_like(self.ones)
        self.total = start.flatten(1).sum(dim=1)

    def __getitem__(self, index: Tensor) -> "LpBox":
        part = object.__new__(LpBox)
        part.schedule, part.group_weight, part.groups = self.schedule, self.group_weight, self.groups
        part.G, part.ones, part.z3, part.total = (each[index] for each in (self.G, self.ones, self.z3, self.total))
        part.labels = None if self.labels is None else self.labels[index]
        part.Z = [each[index] for each in self.Z]
        return part

    def step(self, gradient: Tensor, step: int) -> None:
        """Move G against the gradient of the Lagrangian (Eq. 14), then the duals (Eq. 15), all in place.

        Parameters
        ----------
        gradient : Tensor like G
            Of f at G; overwritten.
        step : int
            Steps made before, over all phases.

        Notes
        -----
        With A = G + Z/ρ and Y its projection, a copy pulls with Z + ρ (G - Y) = ρ (A - Y), and its dual becomes
        ρ (A - Y) + ρ ΔG. Eq. 15 prints G - Z where the ascent of Eq. 9 needs G - Y.
        """
        η, (*ρ, ρ3, ρg) = self.schedule.step_size(step), self.schedule.penalties(step)
        ρ = (*ρ, ρg)[: len(self.Z)]
        for number, (Z, ρi) in enumerate(zip(self.Z, ρ, strict=True)):
            A = torch.add(self.G, Z, alpha=1 / ρi, out=Z)
            A.sub_(self._project(number, A, ρi)).mul_(ρi)
            gradient.add_(A)
        gradient.add_(_each(self.z3 + ρ3 * (self.total - self.ones), gradient))
        move = gradient.mul_(-η)
        self.G.add_(move)
        for Z, ρi in zip(self.Z, ρ, strict=True):
            Z.add_(move, alpha=ρi)
        self.total = self.G.flatten(1).sum(dim=1)
        self.z3 = self.z3 + ρ3 * (self.total - self.ones)

    def settled(self, step: int, tolerance: float = 1e-2) -> Tensor:
        """Whether box and sphere agree with G to `tolerance` in every entry, and 1'G with k to less than 1, (n,)."""
        ρ = self.schedule.penalties(step)[:2]
        apart = [self.G - self._project(i, self.G + self.Z[i] / ρ[i], ρ[i]) for i in range(2)]
        largest = torch.stack([each.flatten(1).abs().amax(dim=1) for each in apart]).amax(dim=0)
        return (largest < tolerance) & ((self.total - self.ones).abs() < 1)

    def _project(self, number: int, A: Tensor, ρ: float) -> Tensor:
        if number == 2:
            return shrink_groups(A, self.labels, self.groups, self.group_weight / ρ)
        return project_sphere(A) if number else project_box(A)


def project_box(A: Tensor) -> Tensor:
    """Nearest point of [0, 1]^N (Eq. 11)."""
    return A.clamp(0, 1)


def project_sphere(A: Tensor) -> Tensor:
    """Nearest point of ||Y - 1/2||² = N/4, N the entries of one problem (Eq. 13); the centre stays where it is."""
    C = A - 0.5
    norm = C.flatten(1).norm(dim=1)
    radius = math.sqrt(C.shape[1:].numel()) / 2
    return C.mul_(_each(torch.where(norm > 0, radius / norm, 0.0), C)).add_(0.5)


def group_norms(A: Tensor, labels: Tensor, groups: int) -> Tensor:
    """||A^i||_2 of the groups 0..groups-1, (n, groups); for `labels` see `LpBox`."""
    flat = labels.flatten(1)
    squares = A.square().reshape(len(A), -1, flat.shape[1]).sum(dim=1)
    return squares.new_zeros(len(A), groups).scatter_add_(1, flat, squares).sqrt_()


def shrink_groups(A: Tensor, labels: Tensor, groups: int, amount: float) -> Tensor:
    """Minimiser of amount · Σ_i ||Y^i|| + ½ ||Y - A||²: every group shortened by `amount`, down to nothing."""
    norms = group_norms(A, labels, groups).clamp(min=torch.finfo(A.dtype).tiny)
    factor = (1 - amount / norms).clamp(min=0).gather(1, labels.flatten(1))
    return (A.reshape(len(A), -1, factor.shape[1]) * factor[:, None]).view_as(A)


def largest_entries(G: Tensor, ones: Tensor) -> Tensor:
    """Mark the k largest entries of every problem, ties by index: (n, ...) of bool with exactly k True.

    Parameters
    ----------
    G : Tensor (n, ...)
    ones : Tensor (n,) of int64
        k of every problem.
    """
    order = G.flatten(1).argsort(dim=1, descending=True, stable=True)
    first = torch.arange(order.shape[1], device=G.device) < ones[:, None]
    return torch.zeros_like(first).scatter_(1, order, first).view_as(G)


def _each(value: Tensor, like: Tensor) -> Tensor:
    return value.view(-1, *[1] * (like.ndim - 1))
