"""Where things are: the project's folders as absolute paths, whatever folder a notebook or test runs in.

In a checkout they lie in it. An installed package has no checkout around it: what it reads and writes of the reader's
is then in the reader's own folder ($XDG_DATA_HOME/flipbook, or ~/.local/share/flipbook), never beside the code.
"""

import os
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,=+-]*")  # file names that mean the same on every system
BY_HAND = "by-hand"  # folder of figures/ for notebooks that the runner did not start
JOB = "FLIPBOOK_JOB"  # set by the runner's job for the kernel that it starts


def _from_environment(variable: str, default: Path) -> Path:
    return Path(os.environ[variable]).expanduser().resolve() if os.environ.get(variable) else default


def _root() -> Path:
    """Return the checkout that holds this file, or the reader's data folder where there is none."""
    checkout = PACKAGE.parents[1]
    if (checkout / "notebooks" / "artefacts.csv").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout
    return _from_environment("XDG_DATA_HOME", Path("~/.local/share").expanduser()) / "flipbook"


# $FLIPBOOK_ROOT has the runner work on another checkout than the one that this module lies in.
ROOT = _from_environment("FLIPBOOK_ROOT", _root())
NOTEBOOKS = ROOT / "notebooks"
DATA = _from_environment("FLIPBOOK_DATA", ROOT / "data")
REPORTED = DATA / "reported"
VICTIMS = DATA / "victims"
GRAPHS = PACKAGE / "graphs"
BUILD = ROOT / "build"


def data_root() -> Path:
    """Folder of the real data sets in their official layouts: $DATA_ROOT, or data/raw."""
    return _from_environment("DATA_ROOT", DATA / "raw")


def store() -> Path:
    """Folder of per-image results that notebooks reuse: $FLIPBOOK_STORE, or data/store."""
    return _from_environment("FLIPBOOK_STORE", DATA / "store")


def figures() -> Path:
    """Folder that holds <profile>/<paper>/<artefact>.*: $FLIPBOOK_FIGURES, or figures."""
    return _from_environment("FLIPBOOK_FIGURES", ROOT / "figures")


def artefact_folder(profile: str) -> Path:
    """Folder that holds <paper>/<artefact>.* of a profile; of a tweaked run ($FLIPBOOK_VARIANT) a folder of its own.

    Only the runner's jobs write to what is published. A notebook run by hand, in JupyterLab or by another program,
    gets figures/by-hand/<profile>.
    """
    plain_name("profile", profile)
    variant = os.environ.get("FLIPBOOK_VARIANT")
    folder = figures() if is_job() else figures() / BY_HAND
    return folder / (f"{profile}+{variant}" if variant else profile)


def is_job() -> bool:
    """Whether the runner started this process to make an artefact."""
    return bool(os.environ.get(JOB))


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
