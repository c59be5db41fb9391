"""Which sets of labels are attacked, and on which images: drawn from the predictions on clean images.

A set is eligible when enough images are predicted to contain all of it. Labels and images are counted, never looked
at, so the same predictions and seed give the same sets on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LIMIT = 100_000  # sets of one size that are still listed
DEAD_ENDS = 100  # attempts per wanted set where they are too many to list
CHUNK = 256  # sets that are made longer at a time


@dataclass(frozen=True)
class Pool:
    """Predictions that a target set must occur in.

    Attributes
    ----------
    predictions : Tensor (B, C) of bool
    at_least : int
        Images that must contain the whole set.
    """

    predictions: Tensor
    at_least: int


@dataclass(frozen=True)
class TargetSets:
    """Some sets of labels.

    Attributes
    ----------
    sets : list of tuple of int
        Columns in ascending order; the sets themselves are ordered too.
    eligible : int or None
        How many there are to choose from; None where they are too many to list.
    """

    sets: list[tuple[int, ...]]
    eligible: int | None

    def __len__(self) -> int:
        return len(self.sets)

    def masks(self, labels: int) -> Tensor:
        """Sets as rows (sets, labels) of bool."""
        rows = torch.zeros(len(self.sets), labels, dtype=torch.bool)
        for row, columns in zip(rows, self.sets, strict=True):
            row[list(columns)] = True
        return rows


def draw(
    pools: Sequence[Pool], size: int, count: int, seed: int = 0, labels: Sequence[int] | None = None, limit: int = LIMIT
) -> TargetSets:
    """Draw target sets of one size, uniformly and without replacement: all of them where there are not more.

    Parameters
    ----------
    pools : sequence of Pool
        GMLA: test images with consistent predictions, at least 10. CMLU: training images, at least one batch, and
        test images, at least 10.
    size : int
        |Ω|.
    count : int
        Sets wanted at most: 200 for GMLA, 25 for CMLU.
    seed : int
    labels : sequence of int, optional
        Columns that may be attacked (CMLU's C'); all by default.
    limit : int
        Beyond this number of sets, of this or of a smaller size, they are not listed but grown label by label, each
        drawn among those that keep the set eligible; that is not quite uniform.

    Returns
    -------
    TargetSets

    Raises
    ------
    ValueError
        For a size, a count or a number of images below 1, and for pools of different labels.
    """
    _check(pools, size, count)
    pools = [(pool.predictions.bool().cpu().numpy(), pool.at_least) for pool in pools]
    allowed = np.zeros(pools[0][0].shape[1], dtype=bool)
    allowed[slice(None) if labels is None else list(labels)] = True
    random = np.random.default_rng([seed, size])
    listed = _list(pools, size, allowed, limit)
    if listed is not None:
        return TargetSets(_some(listed, count, random), len(listed))
    grown: set[tuple[int, ...]] = set()
    for _ in range(count * DEAD_ENDS):
        if len(grown) == count:
            break
        grown.add(tuple(sorted(_grow(pools, [allowed] * size, random))))
    return TargetSets(sorted(grown - {()}), None)


def draw_disjoint(
    predictions: Tensor, leaves: Tensor, size: int, count: int, at_least: int = 50, seed: int = 0
) -> TargetSets:
    """Draw target sets that share no label, half of each from the hierarchy's leaves (GMLA on Open Images).

    Parameters
    ----------
    predictions : Tensor (B, C) of bool
        Of images with consistent predictions.
    leaves : Tensor (C,) of bool
        Labels without children; half of a set, rounded up, are leaves and the rest are not.
    size, count : int
        |Ω|, and how many sets at most.
    at_least : int
        Images a label must be on in, and more than so many that hold all of Ω and at least one further label.
    seed : int

    Returns
    -------
    TargetSets

    Raises
    ------
    ValueError
        As `draw`.
    """
    _check([Pool(predictions, at_least)], size, count)
    on, leaves = predictions.bool().cpu().numpy(), leaves.cpu().numpy()
    free = on.sum(0) >= at_least
    rich = on[on.sum(1) > size]
    random = np.random.default_rng([seed, size])
    sets: list[tuple[int, ...]] = []
    for _ in range(count * DEAD_ENDS):
        if len(sets) == count:
            break
        half = (size + 1) // 2
        steps = [free & leaves] * half + [free & ~leaves] * (size - half)
        grown = _grow([(rich, at_least + 1)], steps, random)
        if grown:
            sets.append(tuple(sorted(grown)))
            free[grown] = False
    return TargetSets(sorted(sets), None)


def attackable(pools: Sequence[Pool], count: int) -> list[int]:
    """Labels worth attacking (CMLU's C'): the most frequent ones in the first pool that every pool has enough of.

    Parameters
    ----------
    pools : sequence of Pool
        CMLU: training images, at least one batch, and test images, at least 20.
    count : int
        Labels wanted at most: 25 of NUS-WIDE, 40 of MS-COCO, 100 of Open Images.

    Returns
    -------
    list of int
        Columns in ascending order.
    """
    _check(pools, 1, count)
    often = [pool.predictions.bool().sum(0) for pool in pools]
    enough = torch.stack([n >= pool.at_least for n, pool in zip(often, pools, strict=True)]).all(0)
    order = torch.sort(torch.where(enough, often[0], -1), descending=True, stable=True).indices[:count]
    return sorted(order[enough[order]].tolist())


def pairs(predictions: Tensor, sets: TargetSets, most: int = 50) -> tuple[Tensor, Tensor]:
    """Pair every target set with the first images that are predicted to contain it.

    Parameters
    ----------
    predictions : Tensor (B, C) of bool
    sets : TargetSets
    most : int
        Images a set at most.

    Returns
    -------
    images, numbers : Tensor (P,) of int64
        Row of the image and place of the set, sets in order; `sets.masks(C)[numbers]` are the Ω of the pairs.
    """
    on = predictions.bool().cpu()
    holds = (
        torch.stack([on[:, list(columns)].all(1) for columns in sets.sets]) if len(sets) else on.new_zeros(0, len(on))
    )
    numbers, images = (holds & (holds.cumsum(1) <= most)).nonzero().T
    return images, numbers


def _list(pools, size: int, allowed: np.ndarray, limit: int) -> list[tuple[int, ...]] | None:
    """All eligible sets in order, or None if they are too many; each grows from a set with one label less."""
    sets = np.zeros((1, 0), dtype=np.int64)
    for _ in range(size):
        longer: list[np.ndarray] = []
        for start in range(0, len(sets), CHUNK):
            longer.append(_longer(pools, sets[start : start + CHUNK], allowed))
            if sum(map(len, longer)) > limit:
                return None
        sets = np.concatenate([np.zeros((0, sets.shape[1] + 1), dtype=np.int64), *longer])
    return [tuple(row) for row in sets.tolist()]


def _longer(pools, sets: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Sets (n, k + 1) that every pool keeps enough images with, from sets (n, k) and a label beyond their last."""
    last = sets[:, -1:] if sets.shape[1] else np.full((len(sets), 1), -1)
    grows = allowed & (np.arange(len(allowed)) > last)
    for on, least in pools:
        held = on.T[sets].all(axis=1)  # (n, images)
        grows &= held.astype(np.float32) @ on.astype(np.float32) >= least
    which, label = np.nonzero(grows)
    return np.column_stack([sets[which], label])


def _grow(pools, steps: list[np.ndarray], random: np.random.Generator) -> list[int]:
    """One set, a label a step among those that a step allows and every pool keeps enough images with; [] if none."""
    held = [on for on, _ in pools]
    chosen: list[int] = []
    for allowed in steps:
        grows = allowed.copy()
        grows[chosen] = False
        for on, (_, least) in zip(held, pools, strict=True):
            grows &= on.sum(0) >= least
        if not grows.any():
            return []
        chosen.append(int(random.choice(np.flatnonzero(grows))))
        held = [on[on[:, chosen[-1]]] for on in held]
    return chosen


def _some(sets: list, count: int, random: np.random.Generator) -> list:
    if len(sets) <= count:
        return sets
    return [sets[i] for i in np.sort(random.choice(len(sets), count, replace=False))]


def _check(pools: Sequence[Pool], size: int, count: int) -> None:
    for name, value in (("size", size), ("count", count), ("pools", len(pools))):
        if value < 1:
            raise ValueError(f"{name} is {value}: it must be at least 1")
    for pool in pools:
        if pool.at_least < 1:
            raise ValueError(f"at_least is {pool.at_least}: it must be at least 1")
        if pool.predictions.ndim != 2 or pool.predictions.shape[1] != pools[0].predictions.shape[1]:
            raise ValueError(
                f"predictions: shape {tuple(pool.predictions.shape)}, must be (images, labels) with the same labels in "
                "every pool"
            )
