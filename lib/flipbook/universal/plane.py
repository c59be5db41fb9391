"""The plane that two universals span: where one label is off, where both are, and where the ball ends (Fig. 5)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from flipbook.core.validation import check_counts, check_positive
from flipbook.universal import projections
from flipbook.universal.basis import Basis
from flipbook.universal.pool import Pool, check_same_labels, named, target_sets

ANGLES = 180  # corners of the contour


@dataclass(frozen=True)
class Plane:
    """Means over pairs of labels, on a grid of perturbations e_x u_i / |u_i|_inf + e_y u_j / |u_j|_inf.

    Attributes
    ----------
    axis : Tensor (P,)
        Values of e_x and of e_y.
    confidence : Tensor (P, P)
        Mean of ((1 - σ(F_i)) + (1 - σ(F_j))) / 2, rows e_y, columns e_x: 0 with both labels on, 1 with both off.
    both : Tensor (P, P)
        Share of the images with both labels off.
    norm : Tensor (P, P)
        |e_x u_i + e_y u_j|_inf, mean over pairs.
    ball : Tensor (ANGLES, 2)
        Contour of the ball of radius ε: for each direction from 0 to 2π the point (e_x, e_y) at which the norm is ε;
        its distance from the origin is the mean over pairs.
    images : int
        Pairs of image and label pair behind the means.
    """

    axis: Tensor
    confidence: Tensor
    both: Tensor
    norm: Tensor
    ball: Tensor
    images: int

    @property
    def inside(self) -> Tensor:
        """Grid points within the ball on average, (P, P) of bool."""
        angle = torch.atan2(*torch.meshgrid(self.axis, self.axis, indexing="ij"))
        nearest = (angle * ANGLES / (2 * math.pi)).round().long() % ANGLES
        distance = torch.hypot(*torch.meshgrid(self.axis, self.axis, indexing="ij"))
        return distance <= self.ball.norm(dim=1)[nearest] * (1 + 1e-6)


def plane(
    basis: Basis,
    pool: Pool,
    pairs: Iterable,
    *,
    low: float = -0.02,
    high: float = 0.10,
    points: int = 21,
    images: int | None = None,
    chunk: int = 256,
    progress: bool = True,
) -> Plane:
    """Walk over the plane of two vectors, for many pairs of labels, without projection into the ball.

    Parameters
    ----------
    basis : Basis
        Has a vector, not 0, for every label of the pairs.
    pool : Pool
        Victim and images.
    pairs : iterable of target sets of two labels
        The first label (by number) is the x axis.
    low, high : float
        Ends of both axes.
    points : int
        P, at least 2.
    images : int, optional
        At most so many for each pair, the first ones of the pool; all by default.
    chunk : int
        Images a pass; P² forward passes for each image.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Plane

    Raises
    ------
    ValueError
        For sets that are not of two labels, a vector of 0, pairs without any image, and a pool of other labels than the
        basis'.

    Notes
    -----
    Extent, resolution and the quantity shown are not in the paper. Every pair with images counts alike.
    """
    check_counts(2, points=points)
    check_counts(chunk=chunk, images=1 if images is None else images)
    check_positive(extent=high - low)
    check_same_labels("the basis", basis.names, pool.names)
    pairs = _pairs(basis, pool, pairs)
    axis = torch.linspace(low, high, points, dtype=pool.images.dtype)
    e_y, e_x = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    angle = torch.arange(ANGLES, dtype=torch.float64) * 2 * math.pi / ANGLES
    sums, radius = torch.zeros(3, points * points, dtype=torch.float64), torch.zeros(ANGLES, dtype=torch.float64)
    members = [pool.containing(pair)[:images] for pair in pairs]
    with tqdm(total=sum(map(len, members)) * points**2, desc="plane", disable=not progress, delay=0.5) as bar:
        for pair, index in zip(pairs, members, strict=True):
            u, v = _unit(basis, pair).to(pool.device)
            sums[:2] += _decisions(pool, pair, index, u, v, e_x, e_y, chunk, bar)
            sums[2] += _norms(u, v, e_x, e_y).double().cpu()
            radius += basis.epsilon / _norms(u, v, angle.cos(), angle.sin()).double().cpu().clamp(min=1e-12)
    confidence, both, norm = (sums / len(pairs)).view(3, points, points)
    ball = (radius / len(pairs))[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Plane(axis.double(), confidence, both, norm, ball, sum(map(len, members)))


def _pairs(basis: Basis, pool: Pool, pairs: Iterable) -> list[tuple[int, ...]]:
    pairs = target_sets(pairs, pool.names)
    wrong = next((pair for pair in pairs if len(pair) != 2), None)
    if wrong is not None:
        raise ValueError(f"{{{named(wrong, pool.names)}}} has {len(wrong)} labels: a plane needs two")
    found = [pair for pair in pairs if len(pool.containing(pair))]
    if not found:
        raise ValueError("no image of the pool is predicted to contain any of the pairs: give others, or more images")
    return found


def _unit(basis: Basis, pair: tuple[int, ...]) -> Tensor:
    """Both vectors, scaled to a largest value of 1."""
    vectors = basis.vectors[basis.columns(pair)]
    largest = vectors.flatten(1).abs().amax(dim=1)
    if not (largest > 0).all():
        raise ValueError(f"the vector of a label of {{{named(pair, basis.names)}}} is 0: it spans no plane")
    return vectors / largest.view(-1, 1, 1, 1)


def _decisions(pool, pair, index, u, v, e_x, e_y, chunk, bar) -> Tensor:
    """Mean confidence that the labels are off, and share of images with both off, (2, P²)."""
    sums = torch.zeros(2, len(e_x), dtype=torch.float64, device=pool.device)
    e_x, e_y = e_x.to(u), e_y.to(u)
    for rows in torch.arange(len(e_x) * len(index), device=pool.device).split(chunk):
        point, image = rows // len(index), index[rows % len(index)]
        shift = e_x[point].view(-1, 1, 1, 1) * u + e_y[point].view(-1, 1, 1, 1) * v
        with torch.no_grad():
            a = pool.net(projections.apply(pool.take(image), shift))[:, list(pair)].double()
        sums.index_add_(1, point, torch.stack([a.neg().sigmoid().mean(dim=1), (a <= 0).all(dim=1).double()]))
        bar.update(len(rows))
    return sums.cpu() / len(index)


def _norms(u: Tensor, v: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """|x u + y v|_inf for every (x, y), one after the other: the vectors may be large."""
    pairs = zip(x.tolist(), y.tolist(), strict=True)
    return torch.stack([(a * u + b * v).abs().amax() for a, b in pairs])
