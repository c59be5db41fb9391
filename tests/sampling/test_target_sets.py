from itertools import combinations

import numpy as np
import pytest
import torch

from companion.sampling import target_sets
from companion.sampling.target_sets import Pool


def predictions(images=200, labels=9, seed=0, share=0.4):
    return torch.from_numpy(np.random.default_rng(seed).random((images, labels)) < share)


def support(on, columns):
    return int(on[:, list(columns)].all(1).sum())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_all_eligible_sets_are_found_where_there_are_few(size):
    on = predictions()
    expected = [c for c in combinations(range(9), size) if support(on, c) >= 10]
    drawn = target_sets.draw([Pool(on, 10)], size, 1000)
    assert drawn.sets == expected
    assert drawn.eligible == len(expected) == len(drawn)


def test_every_pool_must_hold_enough_images():
    train, test = predictions(300, seed=1), predictions(100, seed=2)
    drawn = target_sets.draw([Pool(train, 40), Pool(test, 15)], 2, 1000)
    assert 0 < len(drawn) < 36
    assert drawn.sets == [c for c in combinations(range(9), 2) if support(train, c) >= 40 and support(test, c) >= 15]


def test_more_sets_than_wanted_are_drawn_from_the_seed():
    on = predictions()
    all_sets = target_sets.draw([Pool(on, 10)], 2, 1000)
    drawn = target_sets.draw([Pool(on, 10)], 2, 7)
    assert len(drawn) == 7
    assert drawn.eligible == all_sets.eligible
    assert drawn.sets == sorted(drawn.sets)
    assert set(drawn.sets) < set(all_sets.sets)
    assert target_sets.draw([Pool(on, 10)], 2, 7) == drawn
    assert target_sets.draw([Pool(on, 10)], 2, 7, seed=1) != drawn


def test_too_many_sets_are_grown_label_by_label(monkeypatch):
    monkeypatch.setattr(target_sets, "LIMIT", 1000)
    on = predictions(60, 40, share=0.9)
    drawn = target_sets.draw([Pool(on, 10)], 8, 25)
    assert drawn.eligible is None
    assert len(set(drawn.sets)) == len(drawn) == 25
    assert all(len(set(c)) == 8 and support(on, c) >= 10 for c in drawn.sets)
    assert drawn == target_sets.draw([Pool(on, 10)], 8, 25)


def test_no_set_is_eligible_where_no_image_has_enough_labels(monkeypatch):
    on = torch.eye(6, dtype=torch.bool).repeat(20, 1)
    assert target_sets.draw([Pool(on, 10)], 2, 5).sets == []
    monkeypatch.setattr(target_sets, "LIMIT", 1)
    assert target_sets.draw([Pool(on, 10)], 2, 5) == target_sets.TargetSets([], None)


def test_pairs_are_the_first_images_that_hold_a_set():
    on = torch.tensor([[1, 1, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]]).bool()
    sets = target_sets.TargetSets([(0, 1), (2,)], 2)
    images, numbers = target_sets.pairs(on, sets, most=2)
    assert images.tolist() == [0, 2, 1, 2]
    assert numbers.tolist() == [0, 0, 1, 1]
    masks = sets.masks(3)[numbers]
    assert (masks <= on[images]).all()
    assert masks[:, 2].tolist() == [False, False, True, True]
    assert [part.tolist() for part in target_sets.pairs(on, target_sets.TargetSets([], 0))] == [[], []]


def test_wrong_numbers_and_pools_are_refused():
    on = predictions()
    with pytest.raises(ValueError, match="size is 0: it must be at least 1"):
        target_sets.draw([Pool(on, 10)], 0, 5)
    with pytest.raises(ValueError, match="count is 0"):
        target_sets.draw([Pool(on, 10)], 1, 0)
    with pytest.raises(ValueError, match="pools is 0"):
        target_sets.draw([], 1, 5)
    with pytest.raises(ValueError, match="at_least is 0"):
        target_sets.draw([Pool(on, 0)], 1, 5)
    with pytest.raises(ValueError, match=r"predictions: shape \(200, 4\), must be \(images, labels\)"):
        target_sets.draw([Pool(on, 10), Pool(on[:, :4], 10)], 1, 5)
