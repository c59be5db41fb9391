"""What takes long to learn, kept in the store: learnt once, by whichever notebook asks first."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flipbook.storage import places

PATIENCE = 3600.0  # seconds


def cached(name: str, load: Callable[[Path], Any], learn: Callable[[], Any], save: Callable[[Any, Path], None]) -> Any:
    """Read it from the store; learn and save it where it is not there, or is damaged.

    A file that is damaged, or cannot be written, is named in a warning.

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
    path = places.in_store(f"{name}.safetensors")
    with alone(path.with_suffix(".lock")):
        try:
            return load(path)
        except FileNotFoundError:
            pass
        except ValueError as error:
            warnings.warn(f"{error}; it is learnt again", stacklevel=2)
        learnt = learn()
        try:
            save(learnt, path)
        except OSError as error:
            warnings.warn(f"{error}; what was learnt is used and not kept", stacklevel=2)
    return learnt


@contextmanager
def alone(lock: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Wait while another process does the same work, but for work's sake only: files are right without a lock.

    Where there can be no lock (some shared file systems), or it is held for longer than `patience` seconds (its
    owner's machine may be gone), the work goes on without it and at worst is done twice.
    """
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=patience)
    except Timeout:
        warnings.warn(f"{lock} has been held for {patience:.0f} seconds; going on without it", stacklevel=3)
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        held.release()
