"""Names that become paths stay where they belong."""

import pytest

from flipbook.storage import places
from flipbook.storage.cached import cached


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_name_that_leads_out_of_the_store_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path / "store"))
    with pytest.raises(ValueError, match=r"name in the store is .*, it must be a path inside"):
        cached(name, load=lambda path: 1, learn=lambda: 1, save=lambda value, path: None)
    assert not (tmp_path / "store").exists()


def test_names_with_folders_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    assert places.in_store("cmlu/a 1") == tmp_path / "cmlu" / "a 1"
