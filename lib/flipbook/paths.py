"""Where things are: the project's folders as absolute paths, whatever folder a notebook or test runs in."""

import os
from pathlib import Path


def _from_environment(variable: str, default: Path) -> Path:
    return Path(os.environ[variable]).expanduser().resolve() if os.environ.get(variable) else default


# $FLIPBOOK_ROOT has the runner work on another checkout than the one that this module lies in.
ROOT = _from_environment("FLIPBOOK_ROOT", Path(__file__).resolve().parents[2])
NOTEBOOKS = ROOT / "notebooks"
DATA = ROOT / "data"
REPORTED = DATA / "reported"
VICTIMS = DATA / "victims"
GRAPHS = DATA / "graphs"
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
    """Folder that holds <paper>/<artefact>.* of a profile; of a tweaked run ($FLIPBOOK_VARIANT) a folder of its own."""
    variant = os.environ.get("FLIPBOOK_VARIANT")
    return figures() / (f"{profile}+{variant}" if variant else profile)
