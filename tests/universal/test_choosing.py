"""Labels by frequency, sets uniformly among those with enough images."""

from itertools import combinations

import pytest
import torch

from flipbook.universal import choose_labels, choose_sets, choosing
from tests.universal.small import affine_pool, net_pool


def test_labels_by_frequency_with_enough_images():
    train, test = affine_pool(60), affine_pool(30)
    labels = choose_labels(train, test, 4, in_test=1)
    counts = train.present.sum(dim=0)
    assert [counts[k].item() for k in labels] == sorted(counts.tolist(), reverse=True)[:4]
    few = choose_labels(train, test, 6, in_training=int(counts.max()), in_test=1)
    assert all(counts[k] == counts.max() for k in few)
    assert choose_labels(train, test, 6, in_test=31) == ()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_sets_with_enough_images(size):
    train, test = affine_pool(60), affine_pool(30)
    found = choose_sets(train, test, range(6), size, 1000, in_training=5, in_test=3)
    expected = [
        omega
        for omega in combinations(range(6), size)
        if len(train.containing(omega)) >= 5 and len(test.containing(omega)) >= 3
    ]
    assert list(found) == expected


def test_draw_repeats_and_differs_by_seed():
    train = test = net_pool(80)
    everything = choose_sets(train, test, range(6), 2, 1000, in_test=1)
    draws = [choose_sets(train, test, range(6), 2, 3, in_test=1, seed=seed) for seed in (0, 0, 1, 2, 3, 4)]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1
    assert all(len(each) == 3 and set(each) <= set(everything) for each in draws)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abcdfe", "the test pool is for other labels than the training pool's: label 4 is 'f' there and 'e' here"),
        ("abcde", "the test pool is for other labels than the training pool's: 5 against 6"),
    ],
)
def test_pools_of_other_labels(names, message):
    train, test = affine_pool(names="abcdef"), affine_pool(outputs=len(names), names=names)
    for choose in (lambda: choose_labels(train, test, 2), lambda: choose_sets(train, test, range(5), 2)):
        with pytest.raises(ValueError, match=message) as caught:
            choose()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("count", 2.5), ("in_test", 0), ("in_training", 1.5)])
def test_numbers_that_are_not_whole(name, value):
    pool = affine_pool()
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be a whole number, 1 or above"):
        choose_labels(pool, pool, **({"count": 2} | {name: value}))
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be a whole number, 1 or above"):
        choose_sets(pool, pool, range(6), 2, **{name: value})


def test_too_many_to_list(monkeypatch):
    monkeypatch.setattr(choosing, "MOST", 10)
    with pytest.raises(ValueError, match="more than the 10 that can be listed"):
        choose_sets(affine_pool(), affine_pool(), torch.ones(6).bool(), 2)
