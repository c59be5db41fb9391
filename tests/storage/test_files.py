from pathlib import Path

import pytest

from flipbook.storage.files import write_whole


def test_a_group_is_written_and_nothing_temporary_stays(tmp_path):
    write_whole({tmp_path / "a" / "one.csv": "é\n", tmp_path / "a" / "two.png": b"\x00\x01"})
    assert (tmp_path / "a" / "one.csv").read_text(encoding="utf-8") == "é\n"
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"one.csv", "two.png"}


def test_a_failure_in_the_middle_leaves_the_old_files(tmp_path, monkeypatch):
    old = {tmp_path / name: "old" for name in ("one", "two", "three")}
    write_whole(old)
    write_bytes = Path.write_bytes

    def full_disk(path, content):
        if "two" in path.name:
            raise OSError("No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(dict.fromkeys(old, "new"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {path.name: "old" for path in old}
