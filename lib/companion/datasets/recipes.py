"""What each pictogram set is made of: how many labels a scene has, how they hang together, how they are painted."""

from dataclasses import dataclass


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
        Probabilities of 1, 2, 3 ... leaves in a scene; empty where themes say how many.
    frequent
        How many times likelier the first leaf is than any other, at each draw.
    same_category
        Probability that the next leaf is taken from the category of the one before.
    themes
        Categories that a scene is about, with the weight of each such theme; empty: scenes have none.
    presence
        Bounds of the probability that a leaf of the scene's theme is shown, uniform between them: a scene's own.
    strangers
        Leaves of other themes in a scene at most; all numbers down to none are equally likely.
    sizes
        Smallest and largest glyph as a part of the side, when alone in its scene.
    places
        Places tried for each glyph: the one farthest from the glyphs already there is taken.
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
    themes: tuple[tuple[int, tuple[str, ...]], ...] = ()
    presence: tuple[float, float] = (1.0, 1.0)
    strangers: int = 0
    sizes: tuple[float, float] = (0.3, 0.5)
    places: int = 4
    tilt: float = 15.0
    opacity: float = 0.75
    clutter: int = 0
    noise: float = 0.0


# Open Images' labels come in chains (person, clothing, face, ...), and one chain is in most of its images: so half of
# the crowds are about the first theme.
THEMES = (
    (12, ("chess", "cards", "dice", "music")),
    (1, ("zodiac", "planet")),
    (1, ("face", "weather", "travel", "plant")),
    (1, ("tool", "hand", "warning")),
    (1, ("arrow", "shape")),
    (1, ("cyrillic", "currency")),
    (1, ("latin",)),
    (1, ("greek",)),
    (1, ("hebrew",)),
    (1, ("armenian",)),
    (1, ("georgian",)),
    (1, ("tifinagh",)),
    (1, ("math",)),
)

RECIPES = {
    "pictograms20": Recipe("VOC 2012", counts=(0.62, 0.29, 0.08, 0.01), frequent=8),
    "pictograms80": Recipe(
        "MS-COCO", counts=(0.2, 0.26, 0.22, 0.16, 0.1, 0.06), frequent=16, same_category=0.55, sizes=(0.32, 0.5)
    ),
    "pictograms81": Recipe("NUS-WIDE", counts=(0.4, 0.3, 0.2, 0.1), same_category=0.55),
    "pictograms268": Recipe("Open Images", counts=(0.4, 0.3, 0.2, 0.1), same_category=0.55),
    "crowds268": Recipe(
        "Open Images, images with many labels",
        side=96,
        counts=(),
        themes=THEMES,
        presence=(0.2, 1.0),
        strangers=2,
        sizes=(0.27, 0.4),
        places=12,
        opacity=0.6,
    ),
    "pictograms10": Recipe("CIFAR-10", side=32, sizes=(0.4, 0.7), tilt=25, opacity=0.65, clutter=1, noise=8),
    "pictograms238": Recipe("ImageNet", side=48, sizes=(0.45, 0.75)),
}
