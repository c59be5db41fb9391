import pytest

from companion import datasets
from companion.datasets import drift


@pytest.mark.parametrize("name", drift.expected())
def test_the_drawn_images_are_those_that_the_victims_saw(name):
    assert datasets.digest(name) == drift.expected()[name]


def test_every_embedded_set_has_a_digest():
    assert list(drift.expected()) == datasets.embedded()


def test_loading_a_changed_set_says_so_once_and_still_works(monkeypatch):
    monkeypatch.setitem(drift.expected(), "signs32", "0" * 64)
    datasets._check_drift.cache_clear()
    with pytest.warns(UserWarning, match=r"signs32: the drawn images differ .*pillow .*environment\.yml") as warned:
        loaded = [datasets.load("signs32", "test") for _ in range(2)]
    assert [len(ds) for ds in loaded] == [2_000, 2_000]
    assert len(warned) == 1
    assert warned[0].filename == __file__
    datasets._check_drift.cache_clear()


def test_a_digest_notices_one_pixel_and_one_target():
    ds = datasets.load("digits", "test")
    before = drift.digest_of(ds)

    def brighter(index):
        picture = ds.draw(index).copy()
        picture[14, 14, 0] ^= 1 if index == drift.FIRST - 1 else 0
        return picture

    other = ds.targets.clone()
    other[-1] = (other[-1] + 1) % 10
    fields = {key: getattr(ds, key) for key in ds.__dataclass_fields__}
    assert drift.digest_of(datasets.ImageSet(**fields)) == before
    assert drift.digest_of(datasets.ImageSet(**{**fields, "draw": brighter})) != before
    assert drift.digest_of(datasets.ImageSet(**{**fields, "targets": other})) != before
