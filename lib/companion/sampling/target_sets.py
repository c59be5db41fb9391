"""Which sets of labels GMLA attacks, and on which images: drawn from the predictions on clean images.

A set is eligible when enough images are predicted to contain all of it. Labels and images are counted, never looked
at, so the same predictions and seed give the same sets on every machine. (CMLU draws its sets in
`flipbook.universal.choosing`.)
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
        Images that must contain the whole set, 1 or more.
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


def draw(pools: Sequence[Pool], size: int, count: int, seed: int = 0) -> TargetSets:
    """Draw target sets of one size, uniformly and without replacement: all of them where there are not more.

    Where there are more than `LIMIT` sets, of this or of a smaller size, they are not listed but grown label by label,
    each drawn among those that keep the set eligible; that is not quite uniform.

    Parameters
    ----------
    pools : sequence of Pool
        Each must hold enough images with a set. GMLA has one: test images whose predictions are consistent.
    size : int
        |Ω|.
    count : int
        Sets wanted at most.
    seed : int
        0 or above; another one draws others.

    Returns
    -------
    TargetSets
        Empty where no set is eligible.

    Raises
    ------
    ValueError
        For a size, a count or a number of images below 1, and for pools of different labels.
    """
    _check(pools, size, count)
    pools = [(pool.predictions.bool().cpu().numpy(), pool.at_least) for pool in pools]
    random = np.random.default_rng([seed, size])
    listed = _list(pools, size)
    if listed is not None:
        return TargetSets(_some(listed, count, random), len(listed))
    grown: set[tuple[int, ...]] = set()
    for _ in range(count * DEAD_ENDS):
        if len(grown) == count:
            break
        grown.add(tuple(sorted(_grow(pools, size, random))))
    return TargetSets(sorted(grown - {()}), None)


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


def _list(pools, size: int) -> list[tuple[int, ...]] | None:
    """All eligible sets in order, or None if they are too many; each grows from a set with one label less."""
    sets = np.zeros((1, 0), dtype=np.int64)
    for _ in range(size):
        longer: list[np.ndarray] = []
        for start in range(0, len(sets), CHUNK):
            longer.append(_longer(pools, sets[start : start + CHUNK]))
            if sum(map(len, longer)) > LIMIT:
                return None
        sets = np.concatenate([np.zeros((0, sets.shape[1] + 1), dtype=np.int64), *longer])
    return [tuple(row) for row in sets.tolist()]


def _longer(pools, sets: np.ndarray) -> np.ndarray:
    """Sets (n, k + 1) that every pool keeps enough images with, from sets (n, k) and a label beyond their last."""
    last = sets[:, -1:] if sets.shape[1] else np.full((len(sets), 1), -1)
    grows = np.arange(pools[0][0].shape[1]) > last
    for on, least in pools:
        held = on.T[sets].all(axis=1)  # (n, images)
        grows &= held.astype(np.float32) @ on.astype(np.float32) >= least
    which, label = np.nonzero(grows)
    return np.column_stack([sets[which], label])


def _grow(pools, size: int, random: np.random.Generator) -> list[int]:
    """One set, a label a step among those that every pool keeps enough images with; [] if none."""
    held = [on for on, _ in pools]
    chosen: list[int] = []
    for _ in range(size):
        grows = np.ones(held[0].shape[1], dtype=bool)
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
