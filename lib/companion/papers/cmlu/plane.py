"""What the vectors of two labels and their sum do to images: Figures 1, 2, 4 and 5 of the CMLU paper."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from companion.papers.cmlu.experiments import Setup, learn
from flipbook.metrics import ssim
from flipbook.universal import projections
from flipbook.universal.plane import Plane, plane
from flipbook.universal.pool import named


def switched_off(setup: Setup, methods: Sequence[str], omegas: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How often each label of a pair goes off under either vector alone and under their sum, on images with both.

    Returns
    -------
    DataFrame
        One row a method, pair and perturbation ("first", "second", "sum"): labels, images, and in percent
        "off 1", "off 2" and "both": the images on which the pair's first, second and both labels are off.
    """
    lines = []
    for method in methods:
        basis = learn(setup, method)
        for omega in omegas:
            index = setup.test.containing(omega)
            for name, part in zip(("first", "second", "sum"), ((omega[0],), (omega[1],), omega), strict=True):
                on = attacked_logits(setup, basis, part, index)[:, list(omega)] > 0
                off = 100 * (~on).double().mean(dim=0)
                line = {
                    "method": method,
                    "omega": omega,
                    "labels": named(omega, setup.test.names),
                    "perturbation": name,
                }
                both = 100 * (~on).all(dim=1).double().mean().item()
                lines.append(
                    line | {"images": len(index), "off 1": off[0].item(), "off 2": off[1].item(), "both": both}
                )
    return pd.DataFrame(lines)


def attacked(setup: Setup, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Test images of these indices under the perturbation of a target set."""
    return projections.apply(setup.test.take(index), learnt.compose(omega).to(setup.test.device))


def attacked_logits(setup: Setup, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Return the victim's logits (n, C) of what `attacked` returns."""
    with torch.no_grad():
        return setup.test.net(attacked(setup, learnt, omega, index))


def similarity(setup: Setup, learnt, images: int = 32) -> list[float]:
    """Mean SSIM of test images with every label's vector, on at most so many images that contain the label."""
    values = []
    for label in setup.labels:
        index = setup.test.containing((label,))[:images]
        values.append(ssim(attacked(setup, learnt, (label,), index), setup.test.take(index)).mean().item())
    return values


def coordinates(learnt, vector: Tensor, pair: tuple[int, int]) -> tuple[float, float, float]:
    """Where a vector's projection lies in the plane of a pair's vectors of largest value 1, and the part in the plane.

    Returns
    -------
    (float, float, float)
        e_x, e_y, and the share of the vector's squared length that lies in the plane.
    """
    axes = learnt.vectors[learnt.columns(pair)].flatten(1).double()
    axes = axes / axes.abs().amax(dim=1, keepdim=True)
    flat = vector.flatten().double()
    e = torch.linalg.lstsq(axes.T, flat).solution
    return e[0].item(), e[1].item(), ((e @ axes).square().sum() / flat.square().sum()).item()


def outside(setup: Setup, omegas: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How much of the Oracle's own vector for a pair lies outside the plane of its vectors for the two labels.

    Returns
    -------
    DataFrame
        One row a pair: omega, images (that contain it) and share (of the vector's squared length, in percent).
    """
    basis, own = learn(setup, "Or-S"), learn(setup, "Oracle", 2)
    lines = []
    for omega in omegas:
        *_, inside = coordinates(basis, own.compose(omega), omega)
        lines.append({"omega": omega, "images": len(setup.test.containing(omega)), "share": 100 * (1 - inside)})
    return pd.DataFrame(lines)


def planes(setup: Setup, method: str, pairs: Sequence[tuple[int, int]], points: int, images: int) -> list[Plane]:
    """Walk over the plane of each pair's vectors, from -0.4 ε to 2 ε, on at most so many test images a pair."""
    basis, ε = learn(setup, method), setup.setting.epsilon
    return [
        plane(basis, setup.test, [pair], low=-0.4 * ε, high=2 * ε, points=points, images=images, progress=False)
        for pair in pairs
    ]


def average(planes: Sequence[Plane]) -> Plane:
    """Return the mean of planes on the same grid, as `universal.plane` of all their pairs has it."""
    means = {
        name: torch.stack([getattr(each, name) for each in planes]).mean(dim=0)
        for name in ("confidence", "both", "norm", "ball")
    }
    return replace(planes[0], **means, images=sum(each.images for each in planes))


def in_the_ball(planes: dict[tuple[int, int], Plane]) -> pd.DataFrame:
    """What each pair's plane has to offer within the ball.

    Returns
    -------
    DataFrame
        One row a pair: omega, images, and in percent "best" (the images on which both labels are off at the best grid
        point within the ball), "share" (the grid points within the ball at which they are off on most images) and
        "anywhere" (as best, without the ball).
    """
    lines = []
    for omega, found in planes.items():
        inside = found.both[found.inside]
        line = {"omega": omega, "images": found.images, "best": 100 * inside.max().item()}
        share = 100 * (inside > 0.5).double().mean().item()
        lines.append(line | {"share": share, "anywhere": 100 * found.both.max().item()})
    return pd.DataFrame(lines)


def gains(rows: pd.DataFrame, method: str) -> pd.Series:
    """By pair: on how many points more images the sum hides both labels than the better of the two vectors alone.

    Parameters
    ----------
    rows : DataFrame
        Of `switched_off`.
    """
    of = rows[rows["method"] == method]
    both = of.pivot(index="omega", columns="perturbation", values="both")
    return both["sum"] - both[["first", "second"]].max(axis=1)


def telling(setup: Setup, method: str, omega: tuple[int, int], count: int) -> Tensor:
    """Test images of a pair, those first that show most: the sum hides both labels, few of its vectors do alone.

    Returns
    -------
    Tensor (count,)
        Indices; images that show the same stay in their order.
    """
    basis, index = learn(setup, method), setup.test.containing(omega)
    first, second, both = (
        ~(attacked_logits(setup, basis, part, index)[:, list(omega)] > 0).any(dim=1)
        for part in ((omega[0],), (omega[1],), omega)
    )
    score = 3 * both.int() - first.int() - second.int()
    return index[score.argsort(descending=True, stable=True)[:count]]
