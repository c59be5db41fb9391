"""The MASW paper's printed tables: main version and supplement's put together, and our numbers beside them."""

import pandas as pd

from companion.papers.masw import experiments as paper
from companion.report import Table, beside, reported

# Artefact: the two versions that are one table here, its data sets, its cases
_VERSIONS = {f"table-0{i}": (f"table-0{i}", f"table-s0{i}") for i in range(1, 9)} | {
    f"table-s{i}": (f"table-s{i}",) for i in (10, 11, 12)
}
COLUMNS = ("asr", "sasr", "pert", "lfr")
EXTRA = ("sac", "pert_all", "passes", "time_s", "images")
KEY = ["case", "dataset", "k", "method"]
NUMBERS = (*COLUMNS, "time_s", "time_h")
LOST = "paper: not legible in our copy"
TARGETED = ("best", "random", "worst")
_STAND_IN = "ours: the paper cites the method and gives no settings; a small generator of our own stands in for it"
_ADAPTED = "ours: the paper does not say how the method is turned to this goal; the adaptation is ours"
ABOUT = {
    "MLA-LP": "ours: made for sides of the threshold, not for a ranking: asks for these labels off, the others kept",
    "GAMA": _STAND_IN,
    "LPD": _STAND_IN,
    "TkALC": _ADAPTED,
    "TkMIA": _ADAPTED,
}


def printed(artefact: str) -> pd.DataFrame:
    """Printed rows of a table, every quantity from the version that has it.

    Parameters
    ----------
    artefact : str
        "table-01" to "table-08" (with S.I to S.VIII), "table-s09" to "table-s12". S.IX is lost: its rows are those of
        Tables III to V without numbers.

    Returns
    -------
    DataFrame of str
        case, dataset, k, method, the measures ('' where neither version is legible or none is printed) and a note that
        says so, or that the versions differ. Sorted by case, data set and k; methods as printed.
    """
    if artefact == "table-s09":
        rows = pd.concat([printed(f"table-0{i}") for i in (3, 4, 5)], ignore_index=True)
        return rows[KEY].assign(sac="", note="paper: the table is lost in our copy")
    versions = pd.concat([reported(f"masw/{name}") for name in _VERSIONS[artefact]], ignore_index=True)
    names = [name for name in NUMBERS if name in versions]
    rows = [dict(zip(KEY, key, strict=True)) | _merged(part, names) for key, part in versions.groupby(KEY, sort=False)]
    return in_order(pd.DataFrame(rows))


def _merged(versions: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """One row from one or two versions of it: the first number wins, and a note says what is missing or differs."""
    row, notes = {}, []
    for name in names:
        values = [value for value in versions[name] if value]
        row[name] = values[0] if values else ""
        if len({float(value) for value in values}) > 1:
            notes.append(f"supplement: {name.upper()} {values[1]}")
    no_result = versions["note"].str.contains("no result").any()
    if not all(row.values()):
        notes.append("paper: no result within a week" if no_result else LOST)
    return row | {"note": "; ".join(notes)}


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by case, data set and k; methods in the order of their first row, those of the supplement before MASW."""
    methods = [name for name in dict.fromkeys(rows["method"]) if name != "MASW"] + ["MASW"]
    places = {"case": ("", *TARGETED), "dataset": paper.SMALL + paper.LARGE, "method": methods}
    order = {name: {value: i for i, value in enumerate(values)} for name, values in places.items()}
    keys = {name: rows[name].map(order[name]) if name in order else rows[name].astype(int) for name in KEY}
    return rows.loc[pd.DataFrame(keys).sort_values(KEY, kind="stable").index].reset_index(drop=True)


def methods(artefact: str) -> list[str]:
    """The methods of a table, as printed."""
    return list(dict.fromkeys(printed(artefact)["method"]))


def table(
    artefact: str, ours: pd.DataFrame, caption: str = "", columns=COLUMNS, extra=EXTRA, not_run: str = "not run here"
) -> Table:
    """Our lines of `paper.summarise` beside the printed rows, for the cases and values of k that we ran.

    Parameters
    ----------
    artefact : str
    ours : DataFrame
        With the columns case, dataset, k and method, and of the measures what there is.
    columns, extra : sequence of str
        Measures shown twice, and those that only we have.
    not_run : str
        Footnote of printed rows of these blocks that we leave out.
    """
    rows = printed(artefact)
    ours = ours.assign(k=ours["k"].astype(str), note=ours["method"].map(ABOUT).fillna(""))
    for name in ("case", "dataset", "k"):
        rows = rows[rows[name].isin(ours[name])]
    on = [name for name in KEY if name != "case" or (rows["case"] != "").any()]
    return beside(
        ours, rows.drop(columns=[name for name in KEY if name not in on]), on=on, columns=columns,
        extra=[name for name in extra if name not in columns], not_run=not_run, caption=caption,
    )  # fmt: skip
