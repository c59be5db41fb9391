"""The MASW paper's printed tables: main version and supplement's put together, and our numbers beside them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.papers.masw import experiments as paper
from companion.report import Table, beside, reported
from companion.report.figures import WIDTH
from flipbook import evaluation

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


_EQUAL = {"weights": "none"}
STEPS = {  # shown: method, options, part of the setting's learning rate
    "TkML": ("TkML", {}, 1.0),
    "MASW": ("MASW", {}, 1.0),
    "MASW, step / 2": ("MASW", {}, 0.5),
    "MASW, step / 4": ("MASW", {}, 0.25),
    "MASW, w = 1": ("MASW", _EQUAL, 1.0),
    "MASW, w = 1, step / 2": ("MASW", _EQUAL, 0.5),
}


def step_rows(setups: Sequence[paper.Setup], block: paper.Block, **options) -> pd.DataFrame:
    """Rows of `paper.run` for all variants, with `step`: the median length of a step as a share of τ."""
    parts = []
    for setup in setups:
        radius, rate = setup.setting.targeted if block[0] else setup.setting.untargeted, setup.setting.learning_rate
        configs = [
            paper.config(setup, name, block, shown=shown, learning_rate=part * rate, trace=("step",), **of)
            for shown, (name, of, part) in STEPS.items()
        ]
        found = paper.run(setup, {block: configs}, **options)
        lengths = [path.nanmedian().item() for path in evaluation.traces(found, "step")]
        parts.append(found.assign(step=[length / radius for length in lengths]))
    return pd.concat(parts, ignore_index=True)


def step_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a data set and variant: the measures in percent, and the median over images of the share of τ."""
    lines = paper.summarise(rows)[["dataset", "method", "asr", "sasr", "lfr"]]
    steps = rows.groupby(["dataset", "method"], sort=False)["step"].median().rename("step / τ")
    return lines.merge(steps.reset_index(), on=["dataset", "method"])


THICK = 0.8  # of a method's bars together


def rate_bars(
    table: pd.DataFrame,
    measures: dict[str, str],
    settings: Sequence[str] = ("dataset",),
    hue: str = "k",
    top: float | None = 100,
    mark: str = "printed",
) -> Figure:
    """Draw a line of plots for every setting, a plot a measure: a bar for each method and value of `hue`.

    Parameters
    ----------
    table : DataFrame
        `frame` of `report.beside` with the columns `method`, `hue`, `settings`, and `ours_<measure>` and
        `paper_<measure>` (or `<measure>`, where only we have it); rows without a number of ours have no bar, and
        without a printed one no mark.
    measures : dict of str to str
        Measures with the labels of their plots.
    settings : sequence of str
        Columns whose combinations are the lines, in order of appearance.
    hue : str
        Column of the bars within a method.
    top : float, optional
        End of the axes of rates; None for sizes and times, which get a logarithmic axis.
    mark : str
        What the legend calls the paper's numbers.
    """
    parts = list(table.groupby(list(settings), sort=False))
    methods, values = list(dict.fromkeys(table["method"])), list(dict.fromkeys(table[hue]))
    colours = dict(zip(values, sns.color_palette("YlGnBu", len(values) + 2)[1:-1], strict=True))
    size = (1.25 * WIDTH, len(parts) * (0.6 + 0.085 * len(methods) * (1 + len(values))))
    figure, axes = plt.subplots(
        len(parts), len(measures), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    printed = False
    for (title, rows), line in zip(parts, axes, strict=True):
        for axis, (name, label) in zip(line, measures.items(), strict=True):
            printed |= _bars(axis, rows, name, methods, colours, hue)
            axis.set_title(f"{', '.join(title)}: {label}", fontsize=10)
            axis.set(xlim=(0, top * 1.02)) if top else axis.set_xscale("log")
            axis.tick_params(labelsize=9)
            axis.grid(visible=False, axis="y")
    axes[0, 0].set(yticks=range(len(methods)), yticklabels=methods, ylim=(len(methods) - 0.4, -0.6))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    names = [f"{hue} = {value}" for value in values]
    if printed:
        handles.append(plt.Line2D([], [], color="black", marker="|", linestyle="", markersize=9, markeredgewidth=1.6))
        names.append(mark)
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9)
    return figure


def _bars(axis: Axes, rows: pd.DataFrame, measure: str, methods: list[str], colours: dict, hue: str) -> bool:
    """Draw one plot and return whether it has marks."""
    height, marked = THICK / len(colours), False
    ours = f"ours_{measure}" if f"ours_{measure}" in rows else measure
    for i, (value, colour) in enumerate(colours.items()):
        own = rows[rows[hue] == value].set_index("method").reindex(methods)
        y = np.arange(len(methods)) + (i - (len(colours) - 1) / 2) * height
        axis.barh(y, pd.to_numeric(own[ours]), height=height, color=colour, linewidth=0)
        if f"paper_{measure}" in rows:
            x = pd.to_numeric(own[f"paper_{measure}"], errors="coerce").to_numpy()
            axis.plot(x, y, "|", color="black", markersize=14 * height, markeredgewidth=1.6, clip_on=False)
            marked |= bool(np.isfinite(x).any())
    return marked
