"""What an artefact was made from, by content, so that an edit that changes nothing makes nothing stale.

Counted are the notebook's cell sources (outputs and metadata change with every run), the code of lib/ that they import,
directly or not, the victims' weights, the paper's printed numbers and the parameters.
"""

import hashlib
import json
from pathlib import Path

from companion import paths
from companion.artefacts import Row
from companion.published import digest
from companion.runner.cells import cells
from companion.target import Target, shown
from flipbook.storage.files import write_whole
from flipbook.storage.package_code import files_behind

VICTIMS = "victims"  # the artefact that writes data/victims/


def current(target: Target) -> dict:
    """Return what `target` would be made from now: notebook, profile, parameters, and the digest of every file."""
    files = {shown(target.row.path): notebook_digest(target.row.path)}
    code = [source for kind, source, _ in cells(target.row.path) if kind == "code"]
    files |= {shown(path): value for path, value in files_behind(code, paths.ROOT / "lib").items()}
    files |= weights()
    files |= {shown(path): digest(path) for path in _files(paths.REPORTED / target.row.paper)}
    return {
        "id": target.id,
        "notebook": target.row.notebook,
        "profile": target.profile,
        "parameters": target.row.given,
        "tweaks": target.tweaks,
        "files": files,
    }


def weights() -> dict[str, str]:
    """Return the digest of every file in data/victims/."""
    return {shown(path): digest(path) for path in _files(paths.VICTIMS)}


def write(target: Target, inputs: dict) -> Path:
    """Write the inputs where the job reads them; the file, and its time, change only when the content does."""
    path = target.build(".inputs.json")
    text = json.dumps(inputs, indent=1)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_whole({path: text})
    return path


def target_of(inputs: dict, row: Row) -> Target:
    """Return the target that these inputs describe."""
    return Target(row, inputs["profile"], inputs["tweaks"])


def difference(before: dict, now: dict) -> str:
    """Say in a few words how the inputs differ: "lib/flipbook/attacks/jma.py changed"; '' when they do not."""
    old, new = before["files"], now["files"]
    said = [f"{name} changed" for name in new if name in old and new[name] != old[name]]
    said += [f"{name} is new" for name in new if name not in old]
    said += [f"{name} is gone" for name in old if name not in new]
    said += [f"{name} changed" for name in ("notebook", "parameters", "tweaks") if before[name] != now[name]]
    return ", ".join(said[:2]) + (f" and {len(said) - 2} more" if len(said) > 2 else "")


def notebook_digest(path: Path) -> str:
    """Digest of a notebook's cells without outputs: kind, source and tags."""
    return hashlib.sha256(json.dumps(cells(path)).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    """Every file in a folder, sorted, without editors' and systems' hidden ones."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
