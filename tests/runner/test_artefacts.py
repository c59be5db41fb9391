"""The map: the project's own, and maps with mistakes."""

import collections

import pytest

from companion import artefacts
from companion.refusal import Refusal
from companion.runner import parameters
from companion.target import Target


def test_the_map_has_every_table_and_figure_of_the_five_papers():
    rows = artefacts.read()
    counts = collections.Counter(row.paper for row in rows.values())
    assert counts == {"guide": 2, "jma": 17, "masw": 29, "gmla": 5, "cmlu": 9, "sapf": 6}
    assert all(row.title and row.artefact for row in rows.values())
    assert all(row.id.startswith(f"{row.paper}/") for row in rows.values() if row.paper != artefacts.GUIDE)


@pytest.mark.parametrize("row", [row for row in artefacts.read().values() if not row.pending], ids=lambda row: row.id)
def test_every_notebook_on_the_map_is_there_and_takes_its_parameters(row):
    chosen = parameters.chosen(Target(row, "laptop"), device="cpu", retrain=False)
    assert set(row.given) <= set(chosen)


def test_select_keeps_the_maps_order_and_takes_each_once(here):
    rows = artefacts.read()
    assert [row.id for row in artefacts.select(rows, ["jma/table-03", "jma", "start"])] == [
        "start",
        "jma/table-01",
        "jma/table-02",
        "jma/table-03",
    ]
    assert artefacts.select(rows, []) == list(rows.values())


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("minutes,", "", "has no column minutes"),
        ("jma/table-02,jma", "jma/table-01,jma", "line 4: jma/table-01 is there twice"),
        (",1,0,", ",soon,0,", "line 2: minutes and gpu must be numbers"),
        (",,,1,comes with the SAPF notebooks", ",,,1,", "sapf/figure-01 needs either a notebook or a reason"),
    ],
)
def test_mistakes_on_the_map_are_named(here, old, new, line):
    path = here / "notebooks" / "artefacts.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Refusal, match=r"notebooks/artefacts.csv.*" + line):
        artefacts.read()


def test_no_map_is_said_in_one_line(here):
    (here / "notebooks" / "artefacts.csv").unlink()
    with pytest.raises(Refusal, match=r"notebooks/artefacts.csv is missing"):
        artefacts.read()


def test_a_map_with_a_byte_order_mark_is_read_and_latin_1_is_named(here):
    path = here / "notebooks" / "artefacts.csv"
    before = artefacts.read()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert artefacts.read() == before
    path.write_bytes(path.read_text(encoding="utf-8-sig").replace("Later", "Später").encode("latin-1"))
    with pytest.raises(Refusal, match=r"artefacts.csv is not UTF-8 text"):
        artefacts.read()


@pytest.mark.parametrize("name", ["../../x", "/x", "jma/../x", "jma/"])
def test_an_id_that_leads_elsewhere_is_refused(here, name):
    path = here / "notebooks" / "artefacts.csv"
    path.write_text(path.read_text().replace("jma/table-01,", f"{name},"))
    with pytest.raises(Refusal, match=r"line 3: .* must be like jma/table-06"):
        artefacts.read()
