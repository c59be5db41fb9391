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


@pytest.fixture
def nothing_is_listed(monkeypatch):
    monkeypatch.setattr(choosing, "MOST", 0)


def test_sets_too_many_to_list_are_drawn_from_those_with_enough_images(monkeypatch):
    train, test = affine_pool(60), affine_pool(30)
    options = {"count": 1000, "in_training": 5, "in_test": 3}
    for size in (1, 2, 3, 4):
        listed = choose_sets(train, test, range(6), size, **options)
        monkeypatch.setattr(choosing, "MOST", 0)
        assert choose_sets(train, test, range(6), size, **options) == listed
        monkeypatch.undo()


@pytest.mark.usefixtures("nothing_is_listed")
def test_each_set_is_drawn_as_often_whatever_its_images():
    train = test = net_pool(200)
    everything = choose_sets(train, test, range(6), 2, 1000, in_test=4)
    images = [len(test.containing(omega)) for omega in everything]
    assert max(images) > 3 * min(images)
    draws = [choose_sets(train, test, range(6), 2, 1, in_test=4, seed=seed)[0] for seed in range(400)]
    times = torch.tensor([draws.count(omega) for omega in everything]).double()
    expected = 400 / len(everything)
    assert ((times - expected) ** 2 / expected).sum() < 3 * len(everything)  # chi-squared; 1 a set on average


@pytest.mark.usefixtures("nothing_is_listed")
def test_drawn_sets_repeat_and_name_labels_not_places():
    train = test = net_pool(80)
    first = choose_sets(train, test, (5, 1, 3), 2, 2, in_test=1)
    assert first == choose_sets(train, test, (1, 3, 5), 2, 2, in_test=1)
    assert len(first) == 2
    assert all(set(omega) < {1, 3, 5} for omega in first)


@pytest.mark.usefixtures("nothing_is_listed")
def test_a_prediction_that_turns_leaves_most_drawn_sets():
    pool = net_pool(200, outputs=10)
    before = choose_sets(pool, pool, range(10), 4, 10, in_test=2)
    pool.present[100, 3] = ~pool.present[100, 3]
    assert len(set(before) & set(choose_sets(pool, pool, range(10), 4, 10, in_test=2))) >= 8


@pytest.mark.usefixtures("nothing_is_listed")
def test_no_set_with_enough_images(monkeypatch):
    monkeypatch.setattr(choosing, "TRIES", 3000)
    pool = affine_pool()
    assert choose_sets(pool, pool, range(6), 2, in_test=len(pool) + 1) == ()
    assert choose_sets(pool, pool, (0, 1), 3) == ()
