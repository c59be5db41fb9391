"""Where the project's folders are, as absolute paths, whatever folder a notebook or test runs in."""

import os
from pathlib import Path

from flipbook.storage import places
from flipbook.storage.places import from_environment, plain_name

BY_HAND = "by-hand"  # folder of figures/ for notebooks that the runner did not start
JOB = "FLIPBOOK_JOB"  # set by the runner's job for the kernel that it starts

ROOT, DATA = places.ROOT, places.DATA
NOTEBOOKS = ROOT / "notebooks"
REPORTED = DATA / "reported"
VICTIMS = DATA / "victims"
BUILD = ROOT / "build"


def data_root() -> Path:
    """Folder of the real data sets in their official layouts: $DATA_ROOT, or data/raw."""
    return from_environment("DATA_ROOT", DATA / "raw")


def figures() -> Path:
    """Folder that holds <profile>/<paper>/<artefact>.*: $FLIPBOOK_FIGURES, or figures."""
    return from_environment("FLIPBOOK_FIGURES", ROOT / "figures")


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
