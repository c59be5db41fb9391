"""One thing to make: an artefact in a profile, perhaps with tweaked parameters, and where its files go."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from companion import paths
from companion.artefacts import GUIDE, Row


@dataclass(frozen=True)
class Target:
    """An artefact to make.

    Attributes
    ----------
    row : Row
        The artefact.
    profile : str
        "laptop" or "paper".
    tweaks : dict of str to str
        Parameters that the reader changed; a tweaked target has folders of its own, so that it overwrites nothing.
    """

    row: Row
    profile: str
    tweaks: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The artefact's id."""
        return self.row.id

    @property
    def variant(self) -> str:
        """The tweaks as part of a folder's name: "step=0.3,images=8"; empty without tweaks."""
        text = ",".join(f"{name}={value}" for name, value in self.tweaks.items())
        safe = re.sub(r"[^A-Za-z0-9._=,-]", "_", text)
        if safe == text and len(text) <= 80:
            return text
        return f"{safe[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"  # distinct values stay distinct

    @property
    def folder(self) -> str:
        """Name of its folder in build/ and figures/."""
        return f"{self.profile}+{self.variant}" if self.tweaks else self.profile

    @property
    def needs_card(self) -> bool:
        """Whether it must leave figures/<folder>/<id>.json behind; a guide need not."""
        return self.row.paper != GUIDE

    def build(self, ending: str) -> Path:
        """Return one of its files in build/: ".ipynb" (executed), ".inputs.json", ".made.json", ".state.json", ..."""
        return paths.BUILD / self.folder / f"{self.id}{ending}"

    def figure(self, ending: str) -> Path:
        """Return one of its files in figures/."""
        return paths.figures() / self.folder / f"{self.id}{ending}"


def shown(path: Path) -> str:
    """Return a path as a reader of the project writes it: relative to the project's folder when inside it."""
    return str(path.relative_to(paths.ROOT)) if path.is_relative_to(paths.ROOT) else str(path)
