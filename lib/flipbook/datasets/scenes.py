"""Pictogram scenes: glyphs of known meaning over crops of photographs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from flipbook.datasets import chance, glyphs, labels, packaged
from flipbook.datasets.imageset import ImageSet

LENGTHS = {"train": 16_000, "validation": 2_000, "test": 2_000}
CLUTTER = "◢◐▤⬟ΓΘΨЖШЮ∞√"  # shapes that mean nothing, in the set that would be too easy without
PLACES = 4  # places tried for each glyph: the one farthest from the glyphs already there is taken
PER_SCENE, PER_GLYPH = 4, 6 + 2 * PLACES  # random numbers that one background and one glyph use up


@dataclass(frozen=True)
class Recipe:
    """How one set of scenes is drawn.

    Attributes
    ----------
    stands_for
        The real data set that it stands in for.
    side
        Height and width in pixels.
    counts
        Probabilities of 1, 2, 3 ... leaves in a scene.
    frequent
        How many times likelier the first leaf is than any other, at each draw.
    same_category
        Probability that the next leaf is taken from the category of the one before.
    sizes
        Smallest and largest glyph as a part of the side.
    tilt
        Largest rotation in degrees.
    opacity
        Of glyphs and their outlines, in [0, 1].
    clutter
        Number of meaningless shapes behind the glyphs.
    noise
        Standard deviation of the pixel noise, in 1/255.
    """

    stands_for: str
    side: int = 64
    counts: tuple[float, ...] = (1.0,)
    frequent: int = 1
    same_category: float = 0.0
    sizes: tuple[float, float] = (0.3, 0.5)
    tilt: float = 15.0
    opacity: float = 0.75
    clutter: int = 0
    noise: float = 0.0


RECIPES = {
    "pictograms20": Recipe("VOC 2012", counts=(0.62, 0.29, 0.08, 0.01), frequent=8),
    "pictograms80": Recipe(
        "MS-COCO", counts=(0.2, 0.26, 0.22, 0.16, 0.1, 0.06), frequent=16, same_category=0.55, sizes=(0.32, 0.5)
    ),
    "pictograms81": Recipe("NUS-WIDE", counts=(0.4, 0.3, 0.2, 0.1), same_category=0.55),
    "pictograms268": Recipe("Open Images", counts=(0.4, 0.3, 0.2, 0.1), same_category=0.55),
    "pictograms10": Recipe("CIFAR-10", side=32, sizes=(0.4, 0.7), tilt=25, opacity=0.65, clutter=1, noise=8),
    "pictograms238": Recipe("ImageNet", side=48, sizes=(0.45, 0.75)),
}


def load(name: str, split: str) -> ImageSet:
    """Embedded pictogram set; name is one of RECIPES, split one of LENGTHS."""
    recipe = RECIPES[name]
    drawn = draw_leaves(name, split)
    if recipe.counts == (1.0,):
        task, targets = "single-label", torch.from_numpy(drawn[:, 0].astype(np.int64))
    else:
        task, targets = "multi-label", torch.from_numpy(label_vectors(name, drawn))
    caption = f"{name}: pictograms over photographs, stands in for {recipe.stands_for}"
    return ImageSet(
        name, split, labels.all_labels(name), task, targets, Scenes(name, split, drawn), recipe.stands_for, caption
    )


def draw_leaves(name: str, split: str) -> np.ndarray:
    """Leaves of all scenes of a split as indices (n, most), in the order they are painted; -1 fills up."""
    recipe, n = RECIPES[name], LENGTHS[split]
    groups = [leaf.get("category", "") for leaf in labels.leaves(name)]
    category = np.array([groups.index(group) for group in groups])
    weights = np.ones(len(groups))
    weights[0] = recipe.frequent
    u = chance.uniforms(n, 1 + 2 * len(recipe.counts), name, split, "labels").astype(np.float64)
    count = 1 + np.searchsorted(np.cumsum(recipe.counts)[:-1], u[:, 0], side="right")
    drawn = np.full((n, len(recipe.counts)), -1, dtype=np.int64)
    for k in range(drawn.shape[1]):
        scenes = np.flatnonzero(count > k)
        free = np.broadcast_to(weights, (len(scenes), len(weights))).copy()
        np.put_along_axis(free, drawn[scenes, :k], 0.0, axis=1)
        if k:
            related = free * (category == category[drawn[scenes, k - 1]][:, None])
            stay = (u[scenes, 2 * k + 1] < recipe.same_category) & (related.sum(1) > 0)
            free[stay] = related[stay]
        cumulated = free.cumsum(1)  # whole numbers: exact on every machine
        drawn[scenes, k] = (cumulated <= u[scenes, 2 * k + 2, None] * cumulated[:, -1:]).sum(1)
    return drawn


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

    @cached_property
    def _chance(self) -> np.ndarray:
        glyphs_at_most = self.drawn.shape[1] + RECIPES[self.name].clutter
        columns = PER_SCENE + glyphs_at_most * PER_GLYPH
        return chance.uniforms(len(self.drawn), columns, self.name, self.split, "scene")

    @cached_property
    def _texts(self) -> list[str]:
        return [leaf["char"] for leaf in labels.leaves(self.name)]

    def __call__(self, index: int) -> np.ndarray:
        """Draw one scene: photograph, clutter, glyphs, noise."""
        recipe, u = RECIPES[self.name], self._chance[index].tolist()
        image = packaged.crop(packaged.photographs(self.split, round(2.5 * recipe.side)), recipe.side, u)
        shares = [u[start : start + PER_GLYPH] for start in range(PER_SCENE, len(u), PER_GLYPH)]
        for share in shares[self.drawn.shape[1] :]:
            put(image, CLUTTER[int(share[5] * len(CLUTTER))], 0.6, recipe, share, [])
        self._paint(image, index, shares)
        pixels = np.asarray(image)
        return pixels if not recipe.noise else add_noise(pixels, recipe.noise, self.name, self.split, index)

    def objects(self, index: int) -> np.ndarray:
        """Where the labelled glyphs of a scene are, their outlines included: (side, side) of bool."""
        side, u = RECIPES[self.name].side, self._chance[index].tolist()
        shares = [u[start : start + PER_GLYPH] for start in range(PER_SCENE, len(u), PER_GLYPH)]
        grounds = [Image.new("RGB", (side, side), colour) for colour in ("black", "white")]
        for ground in grounds:
            self._paint(ground, index, shares)
        # Where nothing was painted, black and white stay apart. A quarter of paint counts, a faint rim does not.
        black, white = (np.asarray(ground).astype(int) for ground in grounds)
        return (white - black < 192).any(axis=2)

    def _paint(self, image: Image.Image, index: int, shares: list[list[float]]) -> None:
        """Paint the labelled glyphs of a scene."""
        leaves = [leaf for leaf in self.drawn[index].tolist() if leaf >= 0]
        crowd = {1: 1.0, 2: 0.95, 3: 0.85, 4: 0.75, 5: 0.68, 6: 0.62}[len(leaves)]
        taken = []
        for leaf, share in zip(leaves, shares, strict=False):
            put(image, self._texts[leaf], crowd, RECIPES[self.name], share, taken)


def put(image: Image.Image, text: str, crowd: float, recipe: Recipe, u: list[float], taken: list) -> None:
    """Paint one glyph where it is farthest from the centres already taken, and note its centre."""
    low, high = recipe.sizes
    size = 2 * round(0.5 * crowd * recipe.side * (low + u[0] * (high - low)))  # few sizes and tilts: stamps are kept
    angle = recipe.tilt * (int(u[1] * 7) - 3) / 3
    outline, inside = glyphs.stamp(text, size, angle, recipe.opacity)
    room = image.width - inside.width, image.height - inside.height
    places = [(int(u[k] * (room[0] + 1)), int(u[k + 1] * (room[1] + 1))) for k in range(6, PER_GLYPH, 2)]
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
