"""Tables that show the paper's numbers beside ours."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import pandas as pd

from companion.report.numbers import MISSING, written

HEADINGS = {
    "panel": "panel",
    "method": "attack",
    "parameters": "parameters",
    "asr": "ASR",
    "basr": "bASR",
    "mse": "MSE",
    "ssim": "SSIM",
    "mean_iterations": "iterations",
    "time_s": "time (s)",
    "do_nothing_basr": "do-nothing bASR",
    "first_success": "passes to success",
    "passes": "passes in all",
    "seconds_median": "median s",
    "asr_8bit": "ASR in 8 bits",
    "asr_logits": "ASR by raw logits",
    "mse_of_psnr": "MSE of mean PSNR",
    "dataset": "data",
    "l0": "ℓ0",
    "l1": "ℓ1",
    "l2": "ℓ2",
    "linf": "ℓ∞",
    "sasr": "SASR",
    "lfr": "LFR",
    "sac": "SAC",
    "pert": "Pert",
    "pert_all": "Pert of all",
}
COLUMNS = ("asr", "basr", "mse", "ssim", "mean_iterations", "time_s")
EXTRA = ("do_nothing_basr", "first_success", "passes", "seconds_median")
DONE, NOT_RUN, ADDED = "done", "not run", "added"

# Colours come from the page around the table, so that it reads in light and dark notebooks alike.
STYLES = [
    {"selector": "", "props": "border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px"},
    {"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: 600; padding: 6px 0"},
    {"selector": "th, td", "props": "padding: 3px 9px; text-align: right; white-space: nowrap; border: 0"},
    {"selector": "th", "props": "font-weight: 600; white-space: normal; vertical-align: bottom; max-width: 7em"},
    {"selector": "thead tr:first-child th", "props": "text-align: center; padding-bottom: 0"},
    {"selector": "thead tr:last-child th", "props": "border-bottom: 1px solid rgba(128, 128, 128, .6)"},
    {"selector": "th.text, td.text", "props": "text-align: left"},
    {"selector": "td.ours", "props": "background: rgba(64, 128, 208, .13); font-weight: 600"},
    {"selector": "td.doubtful", "props": "font-style: italic; opacity: .6"},
    {"selector": "td.first", "props": "border-top: 1px solid rgba(128, 128, 128, .35)"},
    {"selector": "td.word", "props": "font-style: italic; opacity: .75"},
    {"selector": "sup", "props": "font-size: 9px; padding-left: 2px"},
]


@dataclass(frozen=True)
class Table:
    """A table for reading (HTML) and for computing (tidy frame, which becomes the CSV).

    Attributes
    ----------
    frame : DataFrame
        One line per row; of `beside`: the joining columns, `paper_<column>` as printed, `ours_<column>`, extra columns,
        `status` ("done", "not run", "added") and `note`.
    view : DataFrame
        What is shown: texts (already escaped), columns of two levels.
    classes : DataFrame
        CSS classes of the cells of `view`.
    notes : list of str
        Footnotes; cells refer to them by number.
    caption : str
    """

    frame: pd.DataFrame
    view: pd.DataFrame
    classes: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    caption: str = ""

    def html(self, name: str = "table") -> str:
        """Return the table and its footnotes as an HTML fragment; `name` keeps its style apart from other tables'."""
        styler = self.view.style.hide(axis="index").set_td_classes(self.classes).set_uuid(name)
        words = [i for i, css in enumerate(self.classes.iloc[0] if len(self.classes) else ()) if css.startswith("text")]
        left = [{"selector": f"th.col{i}", "props": "text-align: left !important"} for i in words]
        styler = styler.set_table_styles(STYLES + left, overwrite=False)
        if self.caption:
            styler = styler.set_caption(escape(self.caption))
        text = styler.to_html(table_uuid=name, cell_ids=False, table_attributes='class="flipbook"')
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return text + (f'<ol class="notes" style="font-size: 12px; text-align: left">{notes}</ol>' if notes else "")

    def _repr_html_(self) -> str:
        return self.html()


def beside(
    ours: pd.DataFrame,
    reported: pd.DataFrame,
    *,
    on: Sequence[str] = ("method", "parameters"),
    columns: Sequence[str] = COLUMNS,
    extra: Sequence[str] = EXTRA,
    not_run: str = "not run in this profile",
    caption: str = "",
) -> Table:
    """Return a table with every printed row, our numbers in the same row, and our own rows after the paper's.

    Parameters
    ----------
    ours : DataFrame
        From `summary.summarise`, with the columns `on`; at most one line for each combination of them. A column `note`
        adds footnotes.
    reported : DataFrame
        From `reported`: texts as printed.
    on : sequence of str
        What joins a line of ours to a printed row, e.g. ("panel", "method", "parameters").
    columns : sequence of str
        Measures shown twice; one that neither side has is left out.
    extra : sequence of str
        Measures that only we have; one that `ours` lacks is left out.
    not_run : str
        Footnote of printed rows that this profile leaves out.
    caption : str

    Raises
    ------
    ValueError
        When a joining column is missing on either side, or a combination occurs twice in `ours`.
    """
    on = list(on)
    _check(ours, reported, on)
    columns = [name for name in columns if name in ours or (name in reported and (reported[name] != "").any())]
    extra = [name for name in extra if name in ours]
    lines = _printed_lines(ours, reported, on, columns, extra, not_run)
    for line in _own_lines(ours, reported, on, columns, extra):
        lines.insert(_place(lines, line, on), line)
    frame = pd.DataFrame(lines)
    return _table(frame, on, columns, extra, caption)


def plain(frame: pd.DataFrame, caption: str = "", headings: dict[str, str] | None = None) -> Table:
    """Return a table of our own numbers alone, written in the same style."""
    names = {name: (headings or {}).get(name, HEADINGS.get(name, name)) for name in frame}
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name].dtype) for name in frame}
    view = {
        names[name]: [_number(value, name) if numeric[name] else escape(str(value)) for value in frame[name]]
        for name in frame
    }
    classes = {names[name]: ["" if numeric[name] else "text"] * len(frame) for name in frame}
    return Table(
        frame, pd.DataFrame(view, index=frame.index), pd.DataFrame(classes, index=frame.index), caption=caption
    )


def _check(ours: pd.DataFrame, reported: pd.DataFrame, on: list[str]) -> None:
    for side, name in ((ours, "ours"), (reported, "reported")):
        if missing := [column for column in on if column not in side]:
            raise ValueError(f"{name}: no column {missing[0]!r} to join on; it has {', '.join(side.columns)}")
    twice = ours[ours.duplicated(on)]
    if len(twice):
        raise ValueError(f"ours: {tuple(twice.iloc[0][on])} occurs twice; summarise by {', '.join(on)}")


def _printed_lines(ours, reported, on, columns, extra, not_run) -> list[dict]:
    """One line per printed row, in printed order."""
    mine = {tuple(line[on]): line for _, line in ours.iterrows()}
    lines = []
    for _, row in reported.iterrows():
        line = {name: row[name] for name in on}
        line |= {f"paper_{name}": row.get(name, "") for name in columns}
        notes = _notes(row)
        own = mine.get(tuple(row[on]))
        if own is not None:
            line |= _our_values(own, columns, extra) | {"status": DONE}
            notes += _notes(own)
        else:
            line["status"] = NOT_RUN
            notes.append(not_run)
        lines.append(line | {"notes": notes, "doubtful": any("DOUBTFUL" in note for note in _notes(row))})
    return lines


def _own_lines(ours, reported, on, columns, extra) -> list[dict]:
    """Lines of ours that the paper does not print."""
    printed = {tuple(row[on]) for _, row in reported.iterrows()}
    lines = []
    for _, own in ours.iterrows():
        if tuple(own[on]) not in printed:
            line = {name: own[name] for name in on} | {f"paper_{name}": "" for name in columns}
            notes = _notes(own) or ["added here; the paper has no such row"]
            lines.append(line | _our_values(own, columns, extra) | {"status": ADDED, "notes": notes, "doubtful": False})
    return lines


def _notes(row: pd.Series) -> list[str]:
    note = row.get("note")
    return [note] if isinstance(note, str) and note else []


def _our_values(own: pd.Series, columns: list[str], extra: list[str]) -> dict:
    return {f"ours_{name}": own[name] for name in columns if name in own} | {name: own[name] for name in extra}


def _place(lines: list[dict], line: dict, on: list[str]) -> int:
    """After the last row that agrees in all joining columns but the last (the same attack), else at the end."""
    same = [i for i, other in enumerate(lines) if all(other[name] == line[name] for name in on[:-1])]
    return same[-1] + 1 if same else len(lines)


def _table(frame: pd.DataFrame, on, columns, extra, caption) -> Table:
    notes = list(dict.fromkeys(note for row in frame["notes"] for note in row))
    view, classes = {}, {}
    for depth, name in enumerate(on):
        key = ("", HEADINGS.get(name, name))
        # An attack's name stands once above its rows, as in the papers.
        repeated = (frame[on[: depth + 1]] == frame[on[: depth + 1]].shift()).all(axis=1) & (depth < len(on) - 1)
        texts = [escape(str(value)) for value in frame[name]]
        view[key] = ["" if again else text for text, again in zip(texts, repeated, strict=True)]
        classes[key] = ["text"] * len(frame)
    marks = ["".join(f"<sup>{notes.index(note) + 1}</sup>" for note in row) for row in frame["notes"]]
    view[key] = [text + mark for text, mark in zip(view[key], marks, strict=True)]
    for name in columns:
        heading = HEADINGS.get(name, name)
        if (frame[f"paper_{name}"] != "").any():
            view[heading, "paper"] = [escape(value) or MISSING for value in frame[f"paper_{name}"]]
            classes[heading, "paper"] = ["doubtful" if doubtful else "" for doubtful in frame["doubtful"]]
        if f"ours_{name}" in frame:
            view[heading, "ours"], classes[heading, "ours"] = _our_cells(frame, f"ours_{name}", name)
    for name in extra:
        heading = ("ours only", HEADINGS.get(name, name))
        view[heading], classes[heading] = _our_cells(frame, name, name)
    _say_in_first_column(frame, view, classes)
    starts = (frame[on[:-1]] != frame[on[:-1]].shift()).any(axis=1) & (frame.index > 0)
    for cells in classes.values():
        cells[:] = [f"{css} first" if start else css for css, start in zip(cells, starts, strict=True)]
    tidy = frame.assign(note=[" | ".join(row) for row in frame["notes"]]).drop(columns=["notes", "doubtful"])
    return Table(tidy, pd.DataFrame(view), pd.DataFrame(classes), notes, caption)


def _our_cells(frame: pd.DataFrame, source: str, column: str) -> tuple[list[str], list[str]]:
    done = frame["status"].isin([DONE, ADDED])
    cells = [_number(value, column) if ran else "" for value, ran in zip(frame[source], done, strict=True)]
    return cells, ["ours" if ran else "" for ran in done]


def _say_in_first_column(frame: pd.DataFrame, view: dict, classes: dict) -> None:
    """Write "not run" where our first number would stand."""
    first = next((key for key in view if key[1] == "ours"), None)
    if first:
        for i, status in enumerate(frame["status"]):
            if status == NOT_RUN:
                view[first][i], classes[first][i] = status, "word"


def _number(value, column: str) -> str:
    return escape(written(float(value), column))
