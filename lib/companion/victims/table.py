"""The table of trained victims, data/victims/victims.csv, and the weight files that it vouches for."""

import csv
import hashlib
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from filelock import FileLock

from companion import paths
from flipbook.storage.files import write_whole
from flipbook.storage.places import plain_name

TABLE, HISTORY = "victims.csv", "history"


@dataclass(frozen=True)
class Victim:
    """One row: a trained victim, its weight file and its measured quality on the test split.

    quality is in units of metric ("mAP" or "accuracy", both of 1); parameters counts the whole network; codebook is
    "" or "hadamard <order>"; backbone is the sha256 of the frozen trunk's file that a head was trained on, or "".
    """

    name: str
    file: str
    sha256: str
    dataset: str
    stands_for: str
    architecture: str
    outputs: int
    loss: str
    codebook: str
    metric: str
    quality: float
    parameters: int
    train_seconds: float
    backbone: str
    source: str


COLUMNS = [field.name for field in fields(Victim)]


def read(folder: Path | None = None) -> dict[str, Victim]:
    """All rows by name; no table means no victims."""
    place = path(folder)
    if not place.exists():
        return {}
    try:
        rows = csv.DictReader(io.StringIO(place.read_text(encoding="utf-8-sig")))  # editors add a byte order mark
    except UnicodeDecodeError:
        raise ValueError(f"{place} is not UTF-8 text: save it as UTF-8, or restore it from git") from None
    if rows.fieldnames != COLUMNS:
        raise ValueError(f"{place} has the columns {rows.fieldnames}, they must be {COLUMNS}: restore it from git")
    return {row["name"]: _victim(row, place) for row in rows}


def path(folder: Path | None = None) -> Path:
    """Where the table of a folder is, by default that of data/victims."""
    return (folder or paths.VICTIMS) / TABLE


def _victim(row: dict[str, str], path: Path) -> Victim:
    try:
        return Victim(**{field.name: field.type(row[field.name]) for field in fields(Victim)})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: the row of {row['name']!r} is damaged ({error}): restore it from git") from None


def record(victim: Victim, weights: bytes, history: str | None, folder: Path) -> None:
    """Write weights, training history (None: there is none) and table row, all or none, one writer at a time."""
    plain_name("name of a victim", victim.name)
    plain_name(f"file of {victim.name!r}", victim.file)
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(paths.BUILD / f"{TABLE}.lock"):
        rows = read(folder) | {victim.name: victim}
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *(astuple(rows[name]) for name in sorted(rows))])
        histories = {} if history is None else {folder / HISTORY / f"{victim.name}.csv": history}
        write_whole({folder / victim.file: weights, **histories, folder / TABLE: text.getvalue()})


def digest(weights: bytes) -> str:
    """SHA-256 of a weight file's content, as the table has it."""
    return hashlib.sha256(weights).hexdigest()


MEND = "restore the file from git, or make it again with ./run_all.sh victims --force"


def checked(victim: Victim, folder: Path, mend: str = MEND) -> bytes:
    """Return the bytes of a victim's weight file, if its row names them; `mend` ends the error's line."""
    path = folder / plain_name(f"file of {victim.name!r} in {TABLE}", victim.file)
    if not path.is_file():
        raise FileNotFoundError(f"the weights of {victim.name!r}, {path}, are missing: {mend}")
    content = path.read_bytes()
    found = digest(content)
    if found != victim.sha256:
        said = f"{path} has sha256 {found[:12]}..., {TABLE} says {victim.sha256[:12]}..."
        raise ValueError(f"{said}: it is damaged or was changed; {mend}")
    return content
