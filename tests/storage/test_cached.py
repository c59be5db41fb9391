"""What is kept in the store: learnt once, and again where the file is damaged."""

import pytest
from filelock import FileLock

from flipbook.storage import places
from flipbook.storage.cached import alone, cached


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)
    return tmp_path


def load(path):
    text = path.read_text()
    if text == "damaged":
        raise ValueError("damaged")
    return text


def test_learns_once(store):
    calls = []

    def ask():
        return cached("folder/a", load, lambda: calls.append(1) or "learnt", lambda what, path: path.write_text(what))

    assert [ask(), ask()] == ["learnt", "learnt"]
    assert len(calls) == 1
    assert (store / "folder" / "a.safetensors").read_text() == "learnt"


def test_learns_again_what_is_damaged(store):
    (store / "a.safetensors").write_text("damaged")
    with pytest.warns(UserWarning, match="damaged; it is learnt again"):
        assert cached("a", load, lambda: "again", lambda what, path: path.write_text(what)) == "again"
    assert (store / "a.safetensors").read_text() == "again"


def test_an_error_of_learning_is_not_swallowed(store):
    def learn():
        raise ValueError("images leave [0, 1]")

    with pytest.raises(ValueError, match="images leave"):
        cached("a", load, learn, lambda what, path: path.write_text(what))
    assert not (store / "a.safetensors").exists()


def test_what_cannot_be_kept_is_used_all_the_same(store):
    def full(_what, path):
        raise OSError(f"{path} was not written (No space left on device)")

    with pytest.warns(UserWarning, match=r"a\.safetensors was not written .*; what was learnt is used and not kept"):
        assert cached("a", load, lambda: "learnt", full) == "learnt"


def test_a_lock_that_is_not_to_be_had_does_not_stop_the_work(store, monkeypatch):
    with FileLock(store / "held.lock"), pytest.warns(UserWarning, match=r"held\.lock has been held for 0 seconds"):  # noqa: SIM117
        with alone(store / "held.lock", patience=0.05):
            pass

    def refuse(*_, **__):
        raise NotImplementedError("no locks on this file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert cached("a", load, lambda: "learnt", lambda what, path: path.write_text(what)) == "learnt"
