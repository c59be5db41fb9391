"""Pictogram scenes: glyphs of known meaning over crops of photographs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from companion.datasets import chance, glyphs, labels, leaves, packaged
from companion.datasets.imageset import ImageSet
from companion.datasets.recipes import RECIPES, Recipe

CLUTTER = "◢◐▤⬟ΓΘΨЖШЮ∞√"  # shapes that mean nothing, in the set that would be too easy without
PER_SCENE, PER_GLYPH, PER_PLACE = 4, 6, 2  # random numbers that a background, a glyph and a place tried for it use up
SHRUNK = (1.0, 0.95, 0.85, 0.75, 0.68, 0.62)  # glyphs of scenes with 1, 2, ... of them; with more as with six


def load(name: str, split: str) -> ImageSet:
    """Embedded pictogram set; name is one of `recipes.RECIPES`, split one of `leaves.LENGTHS`."""
    recipe = RECIPES[name]
    drawn = leaves.draw(name, split)
    if recipe.counts == (1.0,):
        task, targets = "single-label", torch.from_numpy(drawn[:, 0].astype(np.int64))
    else:
        task, targets = "multi-label", torch.from_numpy(label_vectors(name, drawn))
    caption = f"{name}: pictograms over photographs, stands in for {recipe.stands_for}"
    return ImageSet(
        name, split, labels.all_labels(name), task, targets, Scenes(name, split, drawn), recipe.stands_for, caption
    )


def label_vectors(name: str, drawn: np.ndarray) -> np.ndarray:
    """Label vectors (n, C) of 0 and 1, uint8: a drawn leaf is present, and so is everything above it."""
    closure = labels.closure(name)
    padded = np.vstack([closure, np.zeros_like(closure[:1])])  # index -1 adds nothing
    return padded[drawn].any(1).astype(np.uint8)


@dataclass(frozen=True)
class Scenes:
    """Draws the scenes of one split: a function from the index to (side, side, 3) uint8."""

    name: str
    split: str
    drawn: np.ndarray

    @property
    def recipe(self) -> Recipe:
        """How the scenes are drawn."""
        return RECIPES[self.name]

    @cached_property
    def _chance(self) -> np.ndarray:
        glyphs_at_most = self.drawn.shape[1] + self.recipe.clutter
        columns = PER_SCENE + glyphs_at_most * self._per_glyph
        return chance.uniforms(len(self.drawn), columns, self.name, self.split, "scene")

    @property
    def _per_glyph(self) -> int:
        return PER_GLYPH + PER_PLACE * self.recipe.places

    @cached_property
    def _texts(self) -> list[str]:
        return [leaf["char"] for leaf in labels.leaves(self.name)]

    def __call__(self, index: int) -> np.ndarray:
        """Draw one scene: photograph, clutter, glyphs, noise."""
        recipe, (u, shares) = self.recipe, self._shares(index)
        image = packaged.crop(packaged.photographs(self.split, round(2.5 * recipe.side)), recipe.side, u)
        for share in shares[self.drawn.shape[1] :]:
            put(image, CLUTTER[int(share[5] * len(CLUTTER))], 0.6, recipe, share, [])
        self._paint(image, index, shares)
        pixels = np.asarray(image)
        return pixels if not recipe.noise else add_noise(pixels, recipe.noise, self.name, self.split, index)

    def objects(self, index: int) -> np.ndarray:
        """Where the labelled glyphs of a scene are, their outlines included: (side, side) of bool."""
        side, (_, shares) = self.recipe.side, self._shares(index)
        grounds = [Image.new("RGB", (side, side), colour) for colour in ("black", "white")]
        for ground in grounds:
            self._paint(ground, index, shares)
        # Where nothing was painted, black and white stay apart. A quarter of paint counts, a faint rim does not.
        black, white = (np.asarray(ground).astype(int) for ground in grounds)
        return (white - black < 192).any(axis=2)

    def _shares(self, index: int) -> tuple[list[float], list[list[float]]]:
        """Random numbers of a scene's background, and of each glyph."""
        u, each = self._chance[index].tolist(), self._per_glyph
        return u[:PER_SCENE], [u[start : start + each] for start in range(PER_SCENE, len(u), each)]

    def _paint(self, image: Image.Image, index: int, shares: list[list[float]]) -> None:
        """Paint the labelled glyphs of a scene."""
        shown = [leaf for leaf in self.drawn[index].tolist() if leaf >= 0]
        crowd = SHRUNK[min(len(shown), len(SHRUNK)) - 1]
        taken = []
        for leaf, share in zip(shown, shares, strict=False):
            put(image, self._texts[leaf], crowd, self.recipe, share, taken)


def put(image: Image.Image, text: str, crowd: float, recipe: Recipe, u: list[float], taken: list) -> None:
    """Paint one glyph where it is farthest from the centres already taken, and note its centre."""
    low, high = recipe.sizes
    size = 2 * round(0.5 * crowd * recipe.side * (low + u[0] * (high - low)))  # few sizes and tilts: stamps are kept
    angle = recipe.tilt * (int(u[1] * 7) - 3) / 3
    outline, inside = glyphs.stamp(text, size, angle, recipe.opacity)
    room = image.width - inside.width, image.height - inside.height
    places = [(int(u[k] * (room[0] + 1)), int(u[k + 1] * (room[1] + 1))) for k in range(PER_GLYPH, len(u), PER_PLACE)]
    centres = [(x + inside.width / 2, y + inside.height / 2) for x, y in places]
    distances = [min([(x - a) ** 2 + (y - b) ** 2 for a, b in taken], default=0) for x, y in centres]
    best = distances.index(max(distances))
    taken.append(centres[best])
    colour, edge = glyphs.paint(u[2:5])
    image.paste(edge, places[best], outline)
    image.paste(colour, places[best], inside)


def add_noise(pixels: np.ndarray, deviation: float, *key) -> np.ndarray:
    """Pixels (H, W, channels) uint8 with normal noise whose deviation is in 1/255; the key fixes the noise."""
    noise = chance.generator(*key, "noise").standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(np.rint(pixels + deviation * noise), 0, 255).astype(np.uint8)
