"""Pools: clean logits once, target sets read from numbers, names and masks, and what is refused."""

import numpy as np
import pytest
import torch

from flipbook.universal.pool import Pool, identity, target_set, target_sets
from tests.affine import mid_grey, random_affine
from tests.universal.small import SHAPE, affine_pool

NAMES = ["cat", "dog", "bird", "tree", "house", "sky"]


def test_clean_logits_once():
    pool = affine_pool(11)
    assert pool.net.forwards == 11
    assert pool.net.backwards == 0
    torch.testing.assert_close(pool.logits, pool.net.model(pool.images))
    assert pool.labels == 6
    assert pool.shape == SHAPE
    assert pool.names == tuple("012345")
    assert torch.equal(Pool(pool.net.model, pool.images, chunk=4).present, pool.present)


def test_clean_logits_that_are_known_are_not_computed_again():
    pool = affine_pool(11)
    again = Pool(pool.net.model, pool.images, logits=pool.logits)
    assert again.net.forwards == 0
    assert torch.equal(again.present, pool.present)


@pytest.mark.parametrize("change", [lambda z: z[1:], lambda z: z[:, 1:], lambda z: z.flip(0), lambda z: z.sigmoid()])
def test_logits_of_other_images_are_refused(change):
    pool = affine_pool(11)
    with pytest.raises(ValueError, match="are not what the model says of these 11 images: leave them out"):
        Pool(pool.net.model, pool.images, logits=change(pool.logits))


def test_images_that_contain_a_set():
    pool = affine_pool()
    expected = [i for i in range(40) if pool.logits[i, 1] > 0 and pool.logits[i, 4] > 0]
    assert pool.containing((1, 4)).tolist() == expected
    assert pool.mask([(1, 4), (0,)]).nonzero().tolist() == [[0, 1], [0, 4], [1, 0]]


@pytest.mark.parametrize(
    "omega", [(4, 1), ["house", "dog"], {1, "house"}, torch.tensor([0, 1, 0, 0, 1, 0]).bool(), torch.tensor([4, 1])]
)
def test_a_set_is_read_from_numbers_names_and_masks(omega):
    assert target_set(omega, NAMES) == (1, 4)


def test_a_single_label_is_a_set():
    assert target_set("dog", NAMES) == target_set(1, NAMES) == (1,)


@pytest.mark.parametrize(
    ("omega", "message"),
    [
        ("dot", "no label is called 'dot': did you mean 'dog'"),
        (6, "label 6 does not exist"),
        (-1, "label -1 does not exist"),
        ([], "target set is empty"),
        (torch.zeros(6).bool(), "target set is empty"),
        (torch.ones(5).bool(), r"mask of shape \(5,\)"),
        (torch.tensor([0, 1, 1, 0, 0, 0]), "6 whole numbers, as many as there are labels: give a mask as mask.bool()"),
        (np.array([0, 1, 1, 0, 0, 0]), "6 whole numbers, as many as there are labels"),
        ([0, 1, 1, 0, 0, 0], "target set names 'cat' twice"),
        ([True, False, True], "label True is no label: give its number, 0 .. 5, or its name"),
        (torch.tensor([0.0, 2.0]), r"tensor of torch.float32 and shape \(2,\): give label numbers, or a mask"),
        (torch.ones(2, 6).long(), r"tensor of torch.int64 and shape \(2, 6\)"),
        (1.7, "label 1.7 is no label"),
        ([1.0, 2.0], "label 1.0 is no label"),
        (None, "label None is no label"),
        ([None], "label None is no label"),
    ],
)
def test_wrong_sets(omega, message):
    with pytest.raises(ValueError, match=message) as caught:
        target_set(omega, NAMES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "omega",
    [
        np.array([4, 1]),
        np.array([0, 1, 0, 0, 1, 0], dtype=bool),
        [np.int64(1), torch.tensor(4)],
        np.array(["house", "dog"]),
    ],
)
def test_a_set_is_read_from_numpy(omega):
    assert target_set(omega, NAMES) == (1, 4)


def test_lists_of_sets():
    with pytest.raises(ValueError, match=r"\{cat, dog\} is given twice"):
        target_sets([(0, 1), (2,), (1, 0)], NAMES)
    with pytest.raises(ValueError, match="no target set"):
        target_sets([], NAMES)
    for omegas in (None, 3, "cat"):
        with pytest.raises(ValueError, match=f"target sets are {omegas!r}: give a list of them"):
            target_sets(omegas, NAMES)
    assert identity((1, 2)) != identity((12,))


def test_wrong_pools():
    model, x = random_affine(6, SHAPE), mid_grey(3, SHAPE)
    with pytest.raises(ValueError, match="names hold 5 different labels, the model gives 6"):
        Pool(model, x, NAMES[:5])
    with pytest.raises(ValueError, match="no image"):
        Pool(model, x[:0])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Pool(model, 255 * x)
    with pytest.raises(ValueError, match="training mode"):
        Pool(random_affine(6, SHAPE).train(), x)
    with pytest.raises(ValueError, match="logits of shape"):
        Pool(lambda x: x.sum(), x)
