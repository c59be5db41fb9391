"""Which leaves scenes show: drawn one after the other, or by theme."""

import numpy as np
import pytest

from companion import datasets
from companion.datasets import labels, leaves
from companion.datasets.recipes import RECIPES, THEMES

IN_TURN = ("pictograms20", "pictograms80", "pictograms81", "pictograms268")


@pytest.mark.parametrize("name", IN_TURN)
def test_label_counts_follow_the_recipe(name):
    drawn = leaves.draw(name, "train")
    share = np.bincount((drawn >= 0).sum(1), minlength=drawn.shape[1] + 1)[1:] / len(drawn)
    np.testing.assert_allclose(share, RECIPES[name].counts, atol=0.012)


@pytest.mark.parametrize("name", [*IN_TURN, "crowds268"])
def test_no_leaf_is_drawn_twice_and_each_is_drawn(name):
    drawn = leaves.draw(name, "train")
    rows = np.sort(drawn, axis=1)
    assert not ((rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)).any()
    assert set(drawn[drawn >= 0]) == set(range(len(labels.leaves(name))))


@pytest.mark.parametrize(("name", "rivals"), [("pictograms20", 5), ("pictograms80", 2.5)])
def test_one_label_is_far_more_frequent_than_any_other(name, rivals):
    share = datasets.load(name, "train").targets.float().mean(0)
    assert share.argmax() == 0
    assert share[0] > 0.25
    assert share[0] > rivals * share[1:].max()


def test_the_next_leaf_often_shares_the_category():
    drawn = leaves.draw("pictograms80", "train")
    category = np.array([leaf["category"] for leaf in labels.leaves("pictograms80")])
    pairs = drawn[:, :2][(drawn[:, :2] >= 0).all(1)]
    together = (category[pairs[:, 0]] == category[pairs[:, 1]]).mean()
    assert 0.55 < together < 0.65  # 0.55 by the recipe, and some more by chance


@pytest.fixture(scope="module")
def crowds():
    """Label vectors of the leaves (n, leaves) of bool, and the theme with most leaves in each scene."""
    shown = datasets.load("crowds268", "train").targets[:, :238].bool().numpy()
    category = np.array([leaf["category"] for leaf in labels.leaves("crowds268")])
    members = np.array([np.isin(category, group) for _, group in THEMES])
    return shown, members, (shown.astype(int) @ members.T).argmax(axis=1)


def test_themes_are_made_of_different_categories():
    named = [category for _, group in THEMES for category in group]
    assert sorted(named) == sorted({leaf["category"] for leaf in labels.leaves("crowds268")})


def test_a_crowd_is_about_one_theme_and_half_of_them_about_the_first(crowds):
    shown, members, theme = crowds
    share = np.bincount(theme, minlength=len(THEMES)) / len(theme)
    weights = np.array([weight for weight, _ in THEMES])
    np.testing.assert_allclose(share, weights / weights.sum(), atol=0.02)
    foreign = (shown & ~members[theme]).sum(axis=1)
    assert np.bincount(foreign)[:3].sum() > 0.99 * len(theme)  # of scenes with three leaves the theme is a guess
    np.testing.assert_allclose(np.bincount(foreign)[:3] / len(theme), 1 / 3, atol=0.02)


def test_crowds_hold_from_few_to_all_leaves_of_their_theme(crowds):
    shown, members, theme = crowds
    first = (shown & members[0])[theme == 0].sum(axis=1)
    low, high = RECIPES["crowds268"].presence
    assert first.mean() == pytest.approx(20 * (low + high) / 2, abs=0.3)
    assert (first <= 5).mean() > 0.05
    assert (first >= 18).mean() > 0.1


def test_leaves_of_a_theme_are_equally_frequent_and_every_crowd_has_some(crowds):
    shown, members, theme = crowds
    share = shown[theme == 0][:, members[0]].mean(axis=0)
    np.testing.assert_allclose(share, share.mean(), atol=0.03)
    for split in datasets.SPLITS:
        assert (leaves.draw("crowds268", split)[:, 0] >= 0).all()
