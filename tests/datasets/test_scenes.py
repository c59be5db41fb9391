import numpy as np
import pytest
from PIL import Image

from companion import datasets
from companion.datasets import leaves, scenes
from companion.datasets.recipes import RECIPES

MULTI = ("pictograms20", "pictograms80", "pictograms81", "pictograms268", "crowds268")
HIERARCHICAL = ("pictograms81", "pictograms268", "crowds268")
DRAWS = [0.5] * (scenes.PER_GLYPH + 4 * scenes.PER_PLACE)  # of one glyph


@pytest.mark.parametrize("name", MULTI)
def test_targets_are_the_drawn_leaves_and_all_that_is_above_them(name):
    ds, drawn = datasets.load(name, "test"), leaves.draw(name, "test")
    above = datasets.parents(name) if name in HIERARCHICAL else {}
    for target, shown in zip(ds.targets[:200], drawn[:200].tolist(), strict=True):
        present = {ds.labels[leaf] for leaf in shown if leaf >= 0}
        for label in list(present):
            while label in above:
                label = above[label]
                present.add(label)
        assert {ds.labels[column] for column in target.nonzero()[:, 0]} == present


def test_every_scene_of_a_hierarchical_set_is_consistent():
    for name in HIERARCHICAL:
        ds = datasets.load(name, "train")
        column = {label: ds.targets[:, index].bool() for index, label in enumerate(ds.labels)}
        for top in set(datasets.parents(name).values()):
            children = [child for child, parent in datasets.parents(name).items() if parent == top]
            below = np.any([column[child].numpy() for child in children], axis=0)
            assert (below == column[top].numpy()).all()


def test_scenes_differ_where_their_glyphs_are_and_only_there():
    recipe = RECIPES["pictograms20"]
    image, taken = Image.new("RGB", (64, 64)), []
    scenes.put(image, "★", 1.0, recipe, DRAWS, taken)
    pixels = np.asarray(image).max(2)
    rows, columns = np.nonzero(pixels)
    size = 64 * 0.4
    assert rows.max() - rows.min() <= size + 3
    assert columns.max() - columns.min() <= size + 3
    np.testing.assert_allclose(taken[0], (columns.mean(), rows.mean()), atol=3)
    assert pixels.max() <= 0.75 * 255 + 1  # black shines through


def test_objects_are_the_glyphs_without_background_clutter_and_noise():
    """Scenes that differ in their glyphs alone differ on the objects alone."""
    ds = datasets.load("pictograms10", "test")
    scene = ds.draw
    for index in range(5):
        other = scenes.Scenes(scene.name, scene.split, (scene.drawn + 1) % 10)
        differ = (scene(index) != other(index)).any(axis=2)
        objects = scene.objects(index) | other.objects(index)
        # All of the change is on the objects, but for the faint rim of a letter and of its outline.
        assert differ[objects].mean() > 0.8
        assert differ[~objects].mean() < 0.25
        assert 0.05 < scene.objects(index).mean() < 0.6


def test_a_glyph_is_put_where_there_is_most_room():
    recipe = RECIPES["pictograms20"]
    corners = [0.0, 0.0, 0.99, 0.99, 0.1, 0.1, 0.2, 0.0]
    taken = [(12.0, 12.0)]
    scenes.put(Image.new("RGB", (64, 64)), "★", 1.0, recipe, [0.5] * 6 + corners, taken)
    assert min(taken[1]) > 40


def test_noise_depends_on_its_key_and_has_the_deviation_asked_for():
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    noisy = scenes.add_noise(grey, 8.0, "set", "train", 3)
    assert (noisy == scenes.add_noise(grey, 8.0, "set", "train", 3)).all()
    assert (noisy != scenes.add_noise(grey, 8.0, "set", "train", 4)).any()
    assert abs(noisy.std() - 8) < 0.3
    assert abs(noisy.mean() - 128) < 0.5


def test_glyphs_of_crowds_are_small_and_all_of_them_are_painted():
    ds = datasets.load("crowds268", "test")
    crowded = (ds.draw.drawn >= 0).sum(axis=1).argmax()
    objects = ds.draw.objects(int(crowded))
    assert objects.shape == (96, 96)
    assert 0.4 < objects.mean() < 0.8
    few = scenes.Scenes("crowds268", "test", ds.draw.drawn[:, :1])  # the same scene's first glyph alone, larger
    assert few.objects(int(crowded)).mean() > 1.5 * objects.mean() / (ds.draw.drawn[crowded] >= 0).sum()
