"""Glyphs of DejaVu Sans as transparent stamps with an outline, kept once made."""

from colorsys import hsv_to_rgb
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from companion.datasets import packaged

MASTER = 128  # pixels of the longer side of the large drawing from which each stamp is scaled down
DARK, LIGHT = (20, 20, 24), (244, 244, 240)


@cache
def ink(text: str) -> Image.Image:
    """Mask of the text, cut to its ink and scaled so that its longer side is MASTER pixels."""
    font = packaged.font(MASTER)
    left, top, right, bottom = font.getbbox(text)
    mask = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(mask).text((4 - left, 4 - top), text, font=font, fill=255)
    box = mask.getbbox()
    if box is None:
        raise ValueError(f"the font has no ink for {text!r}: install matplotlib at the pin of environment.yml")
    mask = mask.crop(box)
    scale = MASTER / max(mask.size)
    return mask.resize([max(1, round(scale * length)) for length in mask.size], Image.Resampling.LANCZOS)


@cache
def _tilted(text: str, angle: float) -> Image.Image:
    """`ink`, turned by so many degrees: there are few angles, and each serves all sizes."""
    return ink(text).rotate(angle, Image.Resampling.BICUBIC, expand=True)


@cache
def _fade(opacity: float) -> list[int]:
    """What each of the 256 values of a mask becomes."""
    return [round(opacity * value) for value in range(256)]


@cache
def stamp(text: str, size: int, angle: float, opacity: float) -> tuple[Image.Image, Image.Image]:
    """Masks of the outline and of the inside of a text.

    Parameters
    ----------
    text
        One or more characters.
    size
        Pixels of the longer side before the rotation and without the one-pixel outline.
    angle
        Degrees, counterclockwise.
    opacity
        In [0, 1]: the masks never exceed it.
    """
    turned, fade = _tilted(text, angle), _fade(opacity)
    scale = size / MASTER
    inside = turned.resize([max(1, round(scale * length)) for length in turned.size], Image.Resampling.LANCZOS)
    padded = Image.new("L", (inside.width + 2, inside.height + 2))
    padded.paste(inside, (1, 1))
    outline = ImageChops.subtract(padded.filter(ImageFilter.MaxFilter(3)), padded)
    return outline.point(fade), padded.point(fade)


def paint(u: list[float]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Colour of the inside and contrasting colour of the outline; u holds three numbers in [0, 1)."""
    red, green, blue = (int(255 * c) for c in hsv_to_rgb(u[0], 0.55 + 0.45 * u[1], 0.5 + 0.5 * u[2]))
    bright = 0.3 * red + 0.59 * green + 0.11 * blue > 105
    return (red, green, blue), DARK if bright else LIGHT
