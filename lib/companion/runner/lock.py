"""Locks that a killed process lets go of by itself."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from companion.refusal import Refusal


@contextmanager
def only_run(path: Path) -> Iterator[int]:
    """Hold the lock of the checkout; yields a descriptor to hand on to processes that keep it held while they live.

    Raises
    ------
    Refusal
        When another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 100, 0).decode() or "unknown"
            raise Refusal(
                f"another run is at work in this folder (process group {holder}); wait until it ends, or stop it"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpgrp()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until nobody else holds `path`: a job of a killed run may still be at work on the same files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
