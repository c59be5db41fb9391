"""Which leaves a scene shows, for all scenes of a split at once: drawn one after the other, or by the scene's theme."""

import numpy as np

from companion.datasets import chance, labels
from companion.datasets.recipes import RECIPES, Recipe

LENGTHS = {"train": 16_000, "validation": 2_000, "test": 2_000}


def draw(name: str, split: str) -> np.ndarray:
    """Leaves of all scenes of a split as indices (n, most), in the order they are painted; -1 fills up."""
    recipe, n = RECIPES[name], LENGTHS[split]
    categories = np.array([leaf.get("category", "") for leaf in labels.leaves(name)])
    rule, columns = (_by_theme, 3 + 3 * len(categories)) if recipe.themes else (_in_turn, 1 + 2 * len(recipe.counts))
    return rule(recipe, categories, chance.uniforms(n, columns, name, split, "labels").astype(np.float64))


def _in_turn(recipe: Recipe, categories: np.ndarray, u: np.ndarray) -> np.ndarray:
    """One leaf after the other, often of the category of the one before."""
    weights = np.ones(len(categories))
    weights[0] = recipe.frequent
    count = 1 + np.searchsorted(np.cumsum(recipe.counts)[:-1], u[:, 0], side="right")
    drawn = np.full((len(u), len(recipe.counts)), -1, dtype=np.int64)
    for k in range(drawn.shape[1]):
        scenes = np.flatnonzero(count > k)
        free = np.broadcast_to(weights, (len(scenes), len(weights))).copy()
        np.put_along_axis(free, drawn[scenes, :k], 0.0, axis=1)
        if k:
            related = free * (categories == categories[drawn[scenes, k - 1]][:, None])
            stay = (u[scenes, 2 * k + 1] < recipe.same_category) & (related.sum(1) > 0)
            free[stay] = related[stay]
        cumulated = free.cumsum(1)  # whole numbers: exact on every machine
        drawn[scenes, k] = (cumulated <= u[scenes, 2 * k + 2, None] * cumulated[:, -1:]).sum(1)
    return drawn


def _by_theme(recipe: Recipe, categories: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Leaves of one theme, at least one of them, and a few others, in random order."""
    weights = np.cumsum([weight for weight, _ in recipe.themes])
    theme = np.searchsorted(weights, u[:, 0] * weights[-1], side="right")
    kin = np.array([np.isin(categories, group) for _, group in recipe.themes])[theme]
    chosen, foreign, order = np.split(u[:, 3:], 3, axis=1)
    low, high = recipe.presence
    strangers = np.where(kin, 1.0, foreign).argsort(axis=1, kind="stable")[:, : recipe.strangers]
    wanted = np.arange(recipe.strangers) < (u[:, 1, None] * (recipe.strangers + 1)).astype(int)
    first = np.where(kin, chosen, 1.0).min(axis=1)
    shown = kin & (chosen <= np.maximum(low + u[:, 2] * (high - low), first)[:, None])
    np.put_along_axis(shown, strangers, wanted, axis=1)
    drawn = np.where(shown, order, 1.0).argsort(axis=1, kind="stable")[:, : shown.sum(1).max()]
    return np.where(np.take_along_axis(shown, drawn, axis=1), drawn, -1)
