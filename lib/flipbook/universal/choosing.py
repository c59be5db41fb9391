"""Which labels and target sets are attacked: the frequent ones, drawn once for all methods."""

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from flipbook.attacks import _chance
from flipbook.checks import check_counts
from flipbook.universal.pool import Pool, TargetSet, check_same_labels, identity, target_set

MOST = 2_000_000  # subsets of predicted labels that are listed one by one


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

    Parameters
    ----------
    train, test : Pool
        Of the same labels.
    labels : iterable of labels
        C', by number or name.
    size : int
        |Ω|.
    count : int
        How many; all where there are fewer.
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
        For numbers that are not positive and whole, pools of different labels, and where the images hold so many labels
        of C' that their subsets of this size cannot be listed.
    """
    check_counts(size=size, count=count, in_test=in_test, in_training=in_training)
    check_same_labels("the test pool", test.names, train.names, "the training pool's")
    chosen = torch.tensor(target_set(labels, train.names))
    found = _counts(test.present[:, chosen].cpu(), chosen, size)
    frequent = sorted(omega for omega, images in found.items() if images >= in_test)
    frequent = [omega for omega in frequent if len(train.containing(omega)) >= in_training]
    if len(frequent) <= count:
        return tuple(frequent)
    keys = torch.tensor([identity(omega) for omega in frequent])
    order = _chance.uniform(keys, 1, seed)[:, 0].argsort(stable=True)[:count]
    return tuple(sorted(frequent[i] for i in order.tolist()))


def _counts(present: Tensor, labels: Tensor, size: int) -> Counter:
    """How many images hold each set of this size."""
    total = sum(comb(int(held), size) for held in present.sum(dim=1))
    if total > MOST:
        raise ValueError(
            f"the images hold {total} sets of {size} labels, more than the {MOST} that can be listed: "
            "give fewer labels or fewer test images"
        )
    return Counter(omega for row in present for omega in combinations(labels[row].tolist(), size))
