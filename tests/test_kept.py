"""What is kept in the store: learnt once, and again where the file is damaged."""

import pytest

from flipbook import paths
from flipbook.kept import kept


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "store", lambda: tmp_path)
    return tmp_path


def load(path):
    text = path.read_text()
    if text == "damaged":
        raise ValueError("damaged")
    return text


def test_learns_once(store):
    calls = []

    def ask():
        return kept("folder/a", load, lambda: calls.append(1) or "learnt", lambda what, path: path.write_text(what))

    assert [ask(), ask()] == ["learnt", "learnt"]
    assert len(calls) == 1
    assert (store / "folder" / "a.safetensors").read_text() == "learnt"


def test_learns_again_what_is_damaged(store):
    (store / "a.safetensors").write_text("damaged")
    assert kept("a", load, lambda: "again", lambda what, path: path.write_text(what)) == "again"
    assert (store / "a.safetensors").read_text() == "again"


def test_an_error_of_learning_is_not_swallowed(store):
    def learn():
        raise ValueError("images leave [0, 1]")

    with pytest.raises(ValueError, match="images leave"):
        kept("a", load, learn, lambda what, path: path.write_text(what))
    assert not (store / "a.safetensors").exists()
