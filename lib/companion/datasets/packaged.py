"""Files that installed packages bring along, opened by path: nothing is imported and nothing downloaded."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageFont

TRAINING_PHOTOGRAPHS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/camera.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
HELD_OUT_PHOTOGRAPHS = (("skimage", "data/coffee.png"), ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"))
CONTRAST = 0.8


def find(package: str, file: str) -> Path:
    """Path of a file inside an installed package.

    Raises
    ------
    FileNotFoundError
        The package is not installed, or this version of it has no such file.
    """
    spec = find_spec(package)
    if spec is None:
        raise FileNotFoundError(
            f"package {package!r} is not installed, and the embedded data sets need its file {file}: "
            "install the pins of environment.yml"
        )
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, and the embedded data sets need it: reinstall {package!r}, at the pin of "
            "environment.yml"
        )
    return path


@cache
def font(height: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib ships, at a height in pixels."""
    path = find("matplotlib", "mpl-data/fonts/ttf/DejaVuSans.ttf")
    try:
        return ImageFont.truetype(str(path), height, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise OSError(f"{path} cannot be read as a font ({error}): reinstall 'matplotlib'") from error


@cache
def photographs(split: str, short_side: int) -> list[Image.Image]:
    """Colour photographs of a split, softened in contrast, each followed by its mirror image.

    Only the test split also shows the held-out ones. The short side is in pixels.
    """
    chosen = TRAINING_PHOTOGRAPHS + (HELD_OUT_PHOTOGRAPHS if split == "test" else ())
    images = [_photograph(find(*file), short_side) for file in chosen]
    return [version for image in images for version in (image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))]


def _photograph(path: Path, short_side: int) -> Image.Image:
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError as error:
        raise OSError(f"{path} cannot be read as an image ({error}): reinstall the package that holds it") from error
    scale = short_side / min(image.size)
    image = image.resize([round(scale * length) for length in image.size], Image.Resampling.LANCZOS)
    return image.point(lambda value: round(128 + CONTRAST * (value - 128)))


def crop(pool: list[Image.Image], side: int, u: list[float]) -> Image.Image:
    """Square of side x side pixels cut from one of the photographs; u holds four numbers in [0, 1)."""
    photograph = pool[int(u[0] * len(pool))]
    width, height = photograph.size
    length = side + u[1] * (min(width, height) - side)
    left, top = u[2] * (width - length), u[3] * (height - length)
    box = (left, top, left + length, top + length)
    return photograph.resize((side, side), Image.Resampling.BILINEAR, box=box)
