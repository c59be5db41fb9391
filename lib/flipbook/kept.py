"""What takes long to learn, kept in the store: learnt once, by whichever notebook asks first."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from flipbook import paths


def kept(name: str, load: Callable[[Path], Any], learn: Callable[[], Any], save: Callable[[Any, Path], None]) -> Any:
    """Read it from the store; learn and save it where it is not there, or is damaged.

    Parameters
    ----------
    name : str
        "<folder>/<what>-<digest of all that it depends on>": its place in the store.
    load : callable
        Reads a file, with FileNotFoundError or ValueError where that fails.
    learn : callable
    save : callable
        Writes what was learnt, whole or not at all.
    """
    path = paths.store() / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        with suppress(FileNotFoundError, ValueError):
            return load(path)
        learnt = learn()
        save(learnt, path)
    return learnt
