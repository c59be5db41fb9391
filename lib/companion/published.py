"""What a run published of an artefact: the digests of its files, kept beside them as figures/<folder>/<id>.sha256.

The record goes with the files wherever they go, so that a clone without build/ can tell as well whether they are what
was made; `sha256sum --check table-06.sha256` reads it, too.
"""

import functools
import hashlib
from pathlib import Path

from companion.target import shown
from flipbook.storage.files import write_whole

ENDING = ".sha256"
ENDINGS = (".ipynb", ".json", ".csv", ".html", ".png", ".svg")  # an artefact's files


def write(base: Path, files: list[Path]) -> dict[str, str]:
    """Record these files of the artefact `base` (figures/<folder>/<id>, without an ending); return digests by name."""
    digests = {path.name: digest(path) for path in files}
    write_whole({_named(base, ENDING): "".join(f"{value}  {name}\n" for name, value in digests.items())})
    return digests


def read(base: Path) -> dict[str, str] | None:
    """Return the recorded digests by file name, or None where there is no record, or none that can be read."""
    try:
        lines = _named(base, ENDING).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    pairs = [line.split("  ", 1) for line in lines]
    return {pair[1]: pair[0] for pair in pairs} if pairs and all(len(pair) == 2 for pair in pairs) else None


def difference(base: Path, recorded: dict[str, str] | None) -> str:
    """Say in a few words how the files differ from what a run made; '' when they do not.

    Parameters
    ----------
    base : Path
        figures/<folder>/<id>, without an ending.
    recorded : dict of str to str, or None
        Digests by file name.
    """
    if recorded is None:
        return f"{shown(_named(base, ENDING))}, the record of the run that made it, is missing"
    for name, value in recorded.items():
        path = base.with_name(name)
        if not path.is_file():
            return f"{shown(path)} is missing"
        if digest(path) != value:
            return f"{shown(path)} changed since it was made"
    others = [path for ending in ENDINGS if (path := _named(base, ending)).is_file() and path.name not in recorded]
    return f"{shown(others[0])} was not made by a run" if others else ""


def _named(base: Path, ending: str) -> Path:
    return base.with_name(base.name + ending)


def digest(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits; read again only when its time or size changed."""
    status = path.stat()
    return _digest_of(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=4096)
def _digest_of(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
