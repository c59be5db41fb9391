"""The map notebooks/artefacts.csv: every table and figure, and the notebook and parameters that make it."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from companion import paths
from companion.refusal import Refusal, nearest
from flipbook.storage.places import PLAIN

COLUMNS = ("id", "paper", "artefact", "title", "notebook", "parameters", "minutes", "gpu", "pending")
COMMANDS = ("list", "test")  # words of the command line that name no artefact
GUIDE = "guide"  # the `paper` of rows that belong to no paper: a reader's first notebook, the victims


@dataclass(frozen=True)
class Row:
    """One artefact.

    Attributes
    ----------
    id : str
        "jma/table-06"; figures/<profile>/<id>.* are its files.
    paper, artefact, title : str
        "jma", "Table VI", and what it shows.
    notebook : str
        Path inside notebooks/; empty while the artefact is pending.
    parameters : str
        What the notebook is given for this artefact: "name=value; name=value".
    minutes : float
        Expected on a laptop, for schedulers that want a limit.
    gpu : bool
        Whether it uses a GPU where there is one.
    pending : str
        Why it cannot be made yet; empty when it can.
    """

    id: str
    paper: str
    artefact: str
    title: str
    notebook: str
    parameters: str
    minutes: float
    gpu: bool
    pending: str

    @property
    def given(self) -> dict[str, str]:
        """The parameters as a dictionary of texts."""
        pairs = (item.partition("=") for item in self.parameters.split(";") if item.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}

    @property
    def path(self) -> Path:
        """The notebook's file."""
        return paths.NOTEBOOKS / self.notebook


def read() -> dict[str, Row]:
    """Return the rows of notebooks/artefacts.csv by id, in the file's order.

    Raises
    ------
    Refusal
        When the file is missing, lacks a column, repeats an id, or a row can neither be made nor says why not.
    """
    path = paths.NOTEBOOKS / "artefacts.csv"
    if not path.is_file():
        raise Refusal(
            "notebooks/artefacts.csv is missing: it lists what there is to make; restore it from the repository"
        )
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))  # editors add a byte order mark
    except UnicodeDecodeError:
        raise Refusal("notebooks/artefacts.csv is not UTF-8 text: save it as UTF-8") from None
    missing = set(COLUMNS) - set(lines[0] if lines else ())
    if missing:
        raise Refusal(
            f"notebooks/artefacts.csv has no column {', '.join(sorted(missing))}; it needs {', '.join(COLUMNS)}"
        )
    rows = {}
    for number, line in enumerate(lines, start=2):
        if short := [name for name in COLUMNS if line[name] is None]:
            raise Refusal(f"notebooks/artefacts.csv, line {number} has no {short[0]}: give it {len(COLUMNS)} fields")
        row = _row(line, number)
        if not all(PLAIN.fullmatch(part) for part in row.id.split("/")):
            raise Refusal(f"notebooks/artefacts.csv, line {number}: {row.id!r} must be like jma/table-06")
        if row.id in rows:
            raise Refusal(f"notebooks/artefacts.csv, line {number}: {row.id} is there twice; keep one")
        rows[row.id] = row
    return rows


def _row(line: dict[str, str], number: int) -> Row:
    try:
        minutes, gpu = float(line["minutes"] or 0), bool(int(line["gpu"] or 0))
    except ValueError as error:
        raise Refusal(f"notebooks/artefacts.csv, line {number}: minutes and gpu must be numbers ({error})") from None
    if bool(line["notebook"]) == bool(line["pending"]):
        raise Refusal(
            f"notebooks/artefacts.csv, line {number}: {line['id']} needs either a notebook or a reason in `pending`"
        )
    return Row(**{name: line[name] for name in COLUMNS} | {"minutes": minutes, "gpu": gpu})


def select(rows: dict[str, Row], words: list[str]) -> list[Row]:
    """Return the rows that the words name (an id or a paper; no word means all), each once, in the map's order.

    Raises
    ------
    Refusal
        For a word that is neither, with the nearest one that is.
    """
    papers = {row.paper for row in rows.values()} - {GUIDE}
    for word in words:
        if word not in rows and word not in papers:
            hint = nearest(word, [*rows, *papers, *COMMANDS]) or "; ./run_all.sh list shows what there is"
            raise Refusal(f'"{word}" is neither a paper nor an artefact{hint}')
    return [row for row in rows.values() if not words or row.id in words or row.paper in words]
