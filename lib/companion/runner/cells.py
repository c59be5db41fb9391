"""A notebook's cells, read without the packages that run notebooks."""

import json
from pathlib import Path

from companion.refusal import Refusal
from companion.target import shown


def cells(notebook: Path) -> list[tuple[str, str, list[str]]]:
    """Return kind, source and tags of every cell.

    Raises
    ------
    Refusal
        When the file is not a notebook.
    """
    try:
        found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [(cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in found]
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{shown(notebook)} is not a notebook ({error!r}); restore it from the repository") from None
