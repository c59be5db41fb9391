"""Where the library keeps what it stores.

In a checkout that is the checkout's folder data/. An installed package has no checkout around it: what it reads and
writes of the reader's is then in the reader's own folder ($XDG_DATA_HOME/flipbook, or ~/.local/share/flipbook), never
beside the code.
"""

import os
import re
from pathlib import Path

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]*")  # file names that mean the same on every system


def from_environment(variable: str, default: Path) -> Path:
    """Return the folder that an environment variable names, or the default where it is not set."""
    return Path(os.environ[variable]).expanduser().resolve() if os.environ.get(variable) else default


def _root() -> Path:
    """Return the checkout that holds this file, or the reader's data folder where there is none."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "notebooks" / "artefacts.csv").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout
    return from_environment("XDG_DATA_HOME", Path("~/.local/share").expanduser()) / "flipbook"


# $FLIPBOOK_ROOT names another checkout than the one that this module lies in.
ROOT = from_environment("FLIPBOOK_ROOT", _root())
DATA = from_environment("FLIPBOOK_DATA", ROOT / "data")


def store() -> Path:
    """Folder of per-image results and trained things that are used again: $FLIPBOOK_STORE, or data/store."""
    return from_environment("FLIPBOOK_STORE", DATA / "store")


def in_store(name: str) -> Path:
    """Return the place of a name in the store.

    Raises
    ------
    ValueError
        When the name leads out of it.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
        raise ValueError(f"name in the store is {name!r}, it must be a path inside {store()}, without ..")
    return store() / name


def plain_name(kind: str, name: str) -> str:
    """Return a name that becomes a file's or a folder's, so that it cannot lead elsewhere.

    Raises
    ------
    ValueError
        When it holds anything but letters, digits and _ . , = + -, or begins with a dot or a sign.
    """
    if not isinstance(name, str) or not PLAIN.fullmatch(name):
        raise ValueError(
            f"{kind} is {name!r}, it must be a plain name of letters, digits and _ . , = + - beginning with a letter, "
            "a digit or _, because a file is named after it"
        )
    return name
