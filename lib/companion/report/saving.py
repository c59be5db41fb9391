"""An artefact's files: figures/<profile>/<paper>/<artefact>.{csv,html,png,svg} and the card that describes them."""

import difflib
import io
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from companion import paths
from companion.artefacts import Row
from companion.artefacts import read as read_map
from companion.report.claims import Claims, claims_html
from companion.report.tables import Table, plain
from companion.target import shown as shown_path
from flipbook.storage.files import write_whole

DPI = 110
LARGE = 500_000  # bytes; a page with seventy artefacts must still open at once
TABLE_START, TABLE_END = "<!-- table -->", "<!-- end of table -->"  # the index page takes what is between
SUFFIXES = (".csv", ".html", ".png", ".svg")


@dataclass(frozen=True)
class Saved:
    """What `save` wrote; shows the table, the figure and the claims at the end of a notebook's cell.

    Attributes
    ----------
    card : dict
        The content of <artefact>.json.
    files : list of Path
    """

    card: dict
    files: list[Path]
    _shown: tuple[tuple[str, bytes | str], ...]

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, Image, display

        for kind, content in self._shown:
            display(HTML(content) if kind == "html" else Image(content))


def save(
    artefact_id: str,
    *,
    profile: str,
    data: str,
    victim: str,
    functions: Sequence[Callable | str],
    table: Table | pd.DataFrame | None = None,
    figure: Figure | None = None,
    claims: Claims | None = None,
    images: int | None = None,
    reduced: str = "",
    seconds: float | None = None,
) -> Saved:
    """Write an artefact's files, all of them or none, and its card last.

    They go to figures/<profile>/ when the runner makes the artefact, and to figures/by-hand/<profile>/ when the
    notebook is run in any other way, which a line then says.

    Parameters
    ----------
    artefact_id : str
        Its id in notebooks/artefacts.csv, e.g. "jma/table-06"; title and notebook come from there.
    profile : str
        "laptop" or "paper".
    data, victim : str
        What it was computed on, with what that stands for, e.g. "pictograms20 (stands in for VOC 2012)".
    functions : sequence of callable or str
        What of lib/ is behind it, e.g. [jma, ml_cw].
    table, figure, claims
        What there is to show; at least a table or a figure. The figure is closed.
    images : int, optional
        Number of attacked images.
    reduced : str
        What is smaller than in the paper.
    seconds : float, optional
        Computing time, e.g. `rows["seconds"].sum()`: what it took when computed, also where it comes from the store.

    Returns
    -------
    Saved
        Shows itself in a notebook.

    Raises
    ------
    ValueError
        For an id that is not on the map, or nothing to save. Files already there stay as they are.

    Warns
    -----
    UserWarning
        When a file is too large for the index page.
    """
    row = _row(artefact_id)
    if table is None and figure is None:
        raise ValueError(f"{artefact_id}: nothing to save; give a table, a figure or both")
    table = plain(table) if isinstance(table, pd.DataFrame) else table
    base = paths.artefact_folder(profile) / artefact_id
    contents, shown = _contents(base, row, table, figure, claims)
    card = {
        "artefact": artefact_id,
        "paper": row.paper,
        "title": f"{row.artefact}: {row.title}",
        "profile": profile,
        "data": data,
        "victim": victim,
        "notebook": f"notebooks/{row.notebook}",
        "functions": [_dotted(function) for function in functions],
        "reduced": reduced,
        "images": images,
        "claims": claims.as_records() if claims else [],
        "files": [path.name for path in contents],
        "seconds": None if seconds is None else round(float(seconds), 1),
        "made": time.strftime("%Y-%m-%d"),
    }
    card_path = _named(base, ".json")
    write_whole(contents | {card_path: json.dumps(card, indent=1, ensure_ascii=False) + "\n"})
    for suffix in SUFFIXES:
        if _named(base, suffix) not in contents:
            _named(base, suffix).unlink(missing_ok=True)  # left over from when the artefact had more files
    if not paths.is_job():
        where = shown_path(base)
        print(f"Run by hand: saved as {where}.*; what is published is made by ./run_all.sh {artefact_id}")
    return Saved(card, [*contents, card_path], tuple(shown))


def _row(artefact_id: str) -> Row:
    known = read_map()
    if artefact_id not in known:
        near = difflib.get_close_matches(artefact_id, known, n=1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise ValueError(f"{artefact_id!r} is not in notebooks/artefacts.csv{hint}; ids look like 'jma/table-06'")
    return known[artefact_id]


def _contents(base: Path, row: Row, table: Table | None, figure: Figure | None, claims: Claims | None):
    """Return the artefact's files with their content, and what to show: the same, in reading order."""
    contents, shown = {}, []
    body = [f"<h1>{escape(row.artefact)}: {escape(row.title)}</h1>"]
    if table is not None:
        fragment = table.html(row.id.replace("/", "-"))
        contents[_named(base, ".csv")] = table.frame.to_csv(index=False)
        shown.append(("html", fragment))
        body.append(f"{TABLE_START}{fragment}{TABLE_END}")
    if figure is not None:
        png, svg = _drawn(figure)
        contents |= {_named(base, ".png"): png, _named(base, ".svg"): svg}
        shown.append(("png", png))
        body.append(f'<img src="{_named(base, ".png").name}" alt="{escape(row.title)}" style="max-width: 100%">')
    if claims:
        shown.append(("html", claims_html(claims)))
        body.append(claims_html(claims))
    contents[_named(base, ".html")] = _page(row, body)
    for path, content in contents.items():
        if len(content) > LARGE:
            warnings.warn(f"{path.name} has {len(content) / 1e6:.1f} MB; show fewer or smaller images", stacklevel=3)
    return contents, shown


def _page(row: Row, body: list[str]) -> str:
    title = escape(f"{row.artefact}: {row.title}")
    style = "body { font: 15px system-ui, sans-serif; margin: 2em; color-scheme: light dark }"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _drawn(figure: Figure) -> tuple[bytes, bytes]:
    """Return the figure as PNG and SVG, the same bytes for the same figure."""
    png, svg = io.BytesIO(), io.BytesIO()
    options = {"bbox_inches": "tight", "pad_inches": 0.05, "facecolor": "white"}
    figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None}, **options)
    with plt.rc_context({"svg.hashsalt": "flipbook"}):
        figure.savefig(svg, format="svg", metadata={"Date": None}, **options)
    plt.close(figure)
    return png.getvalue(), svg.getvalue()


def _named(base: Path, suffix: str) -> Path:
    return base.with_name(base.name + suffix)


def _dotted(function: Callable | str) -> str:
    return function if isinstance(function, str) else f"{function.__module__}.{function.__qualname__}"
