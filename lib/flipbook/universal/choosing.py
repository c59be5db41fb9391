"""Which labels and target sets are attacked: the frequent ones, drawn once for all methods."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.validation import check_counts
from flipbook.universal.pool import Pool, TargetSet, check_same_labels, identity, target_set

MOST = 2_000_000  # subsets of predicted labels that are listed one by one; of more, some are drawn
TRIES, BLOCK = 100_000, 1_000  # drawn at most, and at once


def choose_labels(train: Pool, test: Pool, count: int, *, in_training: int = 1, in_test: int = 20) -> tuple[int, ...]:
    """Return the labels predicted on most training images, most frequent first.

    Parameters
    ----------
    train, test : Pool
        Of the same labels.
    count : int
        How many; fewer come back where fewer qualify.
    in_training, in_test : int
        Images that must be predicted to contain the label.

    Raises
    ------
    ValueError
        For numbers that are not positive and whole, and pools of different labels.
    """
    check_counts(count=count, in_training=in_training, in_test=in_test)
    check_same_labels("the test pool", test.names, train.names, "the training pool's")
    seen, tested = (pool.present.sum(dim=0).cpu() for pool in (train, test))
    ranked = seen.argsort(descending=True, stable=True).tolist()
    return tuple([k for k in ranked if seen[k] >= in_training and tested[k] >= in_test][:count])


def choose_sets(
    train: Pool,
    test: Pool,
    labels: Iterable,
    size: int,
    count: int = 25,
    *,
    in_training: int = 1,
    in_test: int = 10,
    seed: int = 0,
) -> tuple[TargetSet, ...]:
    """Draw target sets uniformly, without replacement, among those with enough images.

    Where the images hold more than `MOST` sets, they are not listed: sets are drawn one by one, `TRIES` at most, and
    those without enough images left out.

    Parameters
    ----------
    train, test : Pool
        Of the same labels.
    labels : iterable of labels
        C', by number or name.
    size : int
        |Ω|.
    count : int
        How many; all where there are fewer (or all that were met, where sets are not listed).
    in_training, in_test : int
        Images that must be predicted to contain all of the set.
    seed : int
        Another seed draws others.

    Returns
    -------
    tuple of target sets, in sorted order
        Empty where no set has enough images.

    Raises
    ------
    ValueError
        For numbers that are not positive and whole, and pools of different labels.
    """
    check_counts(size=size, count=count, in_test=in_test, in_training=in_training)
    check_same_labels("the test pool", test.names, train.names, "the training pool's")
    chosen = torch.tensor(target_set(labels, train.names))
    held, seen = (pool.present[:, chosen].cpu() for pool in (test, train))
    choose = _drawn if sum(_subsets(held, size)) > MOST else _listed
    found = choose(held, seen, chosen, count, seed, size=size, in_test=in_test, in_training=in_training)
    return tuple(sorted(_numbers(chosen, omega) for omega in found))


def _numbers(chosen: Tensor, places: tuple[int, ...]) -> TargetSet:
    """Labels at these places of C'."""
    return tuple(chosen[list(places)].tolist())


def _subsets(held: Tensor, size: int) -> list[int]:
    """How many sets of this size each image holds, from its labels (n, K) of bool."""
    return [comb(labels, size) for labels in held.sum(dim=1).tolist()]


def _listed(held, seen, chosen, count, seed, *, size, in_test, in_training) -> list[tuple[int, ...]]:
    """Some of all sets with enough images, as places in `chosen`: those with the smallest random numbers."""
    images = Counter(omega for row in held for omega in combinations(row.nonzero().flatten().tolist(), size))
    frequent = sorted(omega for omega, found in images.items() if found >= in_test)
    frequent = [omega for omega in frequent if seen[:, list(omega)].all(dim=1).sum() >= in_training]
    if len(frequent) <= count:
        return frequent
    keys = torch.tensor([identity(_numbers(chosen, omega)) for omega in frequent])
    order = per_image_random.uniform(keys, 1, seed)[:, 0].argsort(stable=True)[:count]
    return [frequent[i] for i in order.tolist()]


def _drawn(held, seen, chosen, count, seed, *, size, in_test, in_training) -> list[tuple[int, ...]]:
    """Sets with enough images as places in `chosen`, drawn one by one.

    An image is drawn in proportion to the sets that it holds, then one of these. So a set comes up in proportion to
    its images, and is kept with a probability in inverse proportion to them: all sets are equally likely. The random
    numbers are the labels' and not the images', so that a prediction that another rounding turns hardly matters.
    """
    share, found = torch.tensor(_subsets(held, size), dtype=torch.float64).cumsum(0), []
    key, pools = per_image_random.keys(chosen[None, None], seed), (held.float(), seen.float())
    for block in range(TRIES // BLOCK):
        u = per_image_random.uniform(key, BLOCK * (2 + held.shape[1]), block).view(BLOCK, -1)
        image = torch.searchsorted(share, u[:, 0] * share[-1], right=True)
        first = torch.where(held[image], u[:, 2:], 2.0).argsort(dim=1)[:, :size]
        mask = torch.zeros(BLOCK, held.shape[1]).scatter_(1, first, 1.0)
        tested, trained = ((pool @ mask.T == size).sum(dim=0) for pool in pools)
        kept = (tested >= in_test) & (trained >= in_training) & (u[:, 1] * tested < in_test)
        found = list(dict.fromkeys(found + [tuple(row.sort().values.tolist()) for row in first[kept]]))
        if len(found) >= count:
            break
    return found[:count]
