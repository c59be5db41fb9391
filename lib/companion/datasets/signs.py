"""Traffic signs: red and blue circles and triangles over photographs, dimmed and noisy."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from PIL import Image, ImageDraw

from companion.datasets import chance, glyphs, labels, packaged
from companion.datasets.imageset import ImageSet
from companion.datasets.leaves import LENGTHS
from companion.datasets.scenes import add_noise

SIDE = 32
CLASSES = {"signs43": 43, "signs32": 32}
FACE, FINE = 128, 4  # pixels of the large drawing of a sign, and how many times finer it is drawn
RED, BLUE, YELLOW = (206, 22, 38), (18, 84, 178), (246, 184, 14)
WHITE, BLACK = (250, 250, 248), (22, 22, 24)


def load(name: str, split: str) -> ImageSet:
    """Embedded sign set; name is one of CLASSES, split one of LENGTHS."""
    entries = labels.catalogue()["signs43"][: CLASSES[name]]
    u = chance.uniforms(LENGTHS[split], 1, name, split, "labels").astype(np.float64)
    classes = (len(entries) * u[:, 0]).astype(np.int64)
    return ImageSet(
        name,
        split,
        [entry["name"] for entry in entries],
        "single-label",
        torch.from_numpy(classes),
        Signs(name, split, classes),
        "GTSRB",
        f"{name}: drawn traffic signs, stands in for GTSRB",
    )


@dataclass(frozen=True)
class Signs:
    """Draws the signs of one split: a function from the index to (SIDE, SIDE, 3) uint8."""

    name: str
    split: str
    classes: np.ndarray

    @cached_property
    def _chance(self) -> np.ndarray:
        return chance.uniforms(len(self.classes), 10, self.name, self.split, "scene")

    def __call__(self, index: int) -> np.ndarray:
        """Draw one sign: photograph, sign, dusk, noise."""
        u = self._chance[index].tolist()
        image = packaged.crop(packaged.photographs(self.split, 3 * SIDE), SIDE, u)
        colours, mask = stamp(int(self.classes[index]), 20 + int(11 * u[4]), 3.0 * (int(7 * u[5]) - 3))
        place = int(u[6] * (SIDE + 1 - mask.width)), int(u[7] * (SIDE + 1 - mask.height))
        image.paste(colours, place, mask)
        dimmed = np.asarray(image) * np.float32(0.35 + 0.65 * u[8])
        return add_noise(dimmed, 3 + 6 * u[9], self.name, self.split, index)


@cache
def stamp(sign: int, size: int, angle: float) -> tuple[Image.Image, Image.Image]:
    """Colours and mask of a sign of this size in pixels, turned by an angle in degrees."""
    colours, mask = face(sign)
    side = min(SIDE, round(size * (1 + abs(angle) / 90)))  # turning widens a sign a little
    colours = colours.rotate(angle, Image.Resampling.BICUBIC, fillcolor=colours.getpixel((0, 0)))
    mask = mask.rotate(angle, Image.Resampling.BICUBIC)
    return tuple(layer.resize((side, side), Image.Resampling.LANCZOS) for layer in (colours, mask))


@cache
def face(sign: int) -> tuple[Image.Image, Image.Image]:
    """Large drawing of a sign: its colours, which also fill what lies outside, and the mask of its shape."""
    entry = labels.catalogue()["signs43"][sign]
    paint = {"red": RED, "blue": BLUE, "yellow": WHITE, "white": BLACK}[entry["colour"]]
    side = FACE * FINE
    colours, mask = Image.new("RGB", (side, side), paint), Image.new("L", (side, side))
    fill(mask, entry["shape"], 1.0, 255)
    if entry["colour"] == "blue":
        fill(colours, entry["shape"], 1.0, WHITE)
        fill(colours, entry["shape"], 0.9, BLUE)
    elif entry["colour"] == "yellow":
        fill(colours, entry["shape"], 0.72, YELLOW)
    elif entry["colour"] == "white":
        fill(colours, entry["shape"], 0.94, WHITE)
    elif entry["shape"] == "octagon":
        fill(colours, entry["shape"], 1.0, WHITE)
        fill(colours, entry["shape"], 0.92, RED)
    else:
        fill(colours, entry["shape"], 0.7 if entry["shape"] == "circle" else 0.66, WHITE)
    write(colours, entry)
    return colours.reduce(FINE), mask.reduce(FINE)


def fill(image: Image.Image, shape: str, scale: float, colour) -> None:
    """Fill a shape around the middle of the image; scale 1 reaches the border."""
    centre = image.width / 2
    radius = scale * (centre - FINE)
    draw = ImageDraw.Draw(image)
    if shape == "circle":
        draw.ellipse([centre - radius, centre - radius, centre + radius, centre + radius], fill=colour)
        return
    corners, start = {
        "triangle": (3, -90),
        "inverted triangle": (3, 90),
        "square": (4, 45),
        "diamond": (4, 0),
        "octagon": (8, 22.5),
    }[shape]
    # A triangle is centred on its centroid, so that the white face sits inside an even red rim.
    grow, shift = {"triangle": (1.15, 0.14), "inverted triangle": (1.15, -0.14), "square": (1.25, 0.0)}.get(
        shape, (1.0, 0.0)
    )
    angles = np.deg2rad(start + np.arange(corners) * 360 / corners)
    middle = centre + shift * image.width
    draw.polygon(
        [(centre + grow * radius * np.cos(a), middle + grow * radius * np.sin(a)) for a in angles], fill=colour
    )


def write(colours: Image.Image, entry: dict) -> None:
    """Write the text or symbol of a sign on its face."""
    text, shape = entry["text"], entry["shape"]
    if not text or shape == "diamond":
        return
    size = {"circle": 0.5, "triangle": 0.42, "square": 0.6, "octagon": 0.76}[shape]
    if entry["colour"] == "blue" and shape == "circle":
        size = 0.66
    elif entry["colour"] == "white":
        size = 0.78
    elif len(text) > 1:
        size = {2: 0.52, 3: 0.6, 4: 0.76}[len(text)]
    mask = glyphs.ink(text)
    scale = size * colours.width / max(mask.size)
    mask = mask.resize([max(1, round(scale * length)) for length in mask.size], Image.Resampling.LANCZOS)
    middle = colours.width * (0.65 if shape == "triangle" else 0.5)
    ink = WHITE if entry["colour"] == "blue" or shape == "octagon" else BLACK
    colours.paste(ink, (round((colours.width - mask.width) / 2), round(middle - mask.height / 2)), mask)
