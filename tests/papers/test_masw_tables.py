"""Main and supplement versions of a printed table become one, and what is lost says so."""

import pandas as pd
import pytest

from companion.papers.masw import tables
from companion.report import reported


def row(rows, **key):
    found = rows[(rows[list(key)] == pd.Series(key)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("artefact", "rows", "methods"),
    [("table-01", 84, 14), ("table-02", 56, 7), ("table-03", 66, 11), ("table-04", 66, 11), ("table-05", 66, 11),
     ("table-06", 66, 11), ("table-07", 56, 7), ("table-08", 162, 9), ("table-s09", 198, 11), ("table-s10", 66, 11),
     ("table-s11", 66, 11), ("table-s12", 42, 7)],
)  # fmt: skip
def test_every_table_has_all_its_rows_once(artefact, rows, methods):
    printed = tables.printed(artefact)
    assert len(printed) == rows
    assert not printed.duplicated(tables.KEY).any()
    assert len(tables.methods(artefact)) == methods
    assert tables.methods(artefact)[-1] == "MASW"


def test_a_number_comes_from_the_version_that_has_it():
    printed = tables.printed("table-01")
    at = {"dataset": "COCO 2014", "k": "3", "method": "ML-C&W"}
    assert row(reported("masw/table-01"), **at)["pert"] == ""
    assert row(printed, **at)["pert"] == row(reported("masw/table-s01"), **at)["pert"] != ""
    assert row(printed, **at)["note"] == ""
    assert row(printed, dataset="VOC 2012", k="3", method="MADW")["asr"] != ""  # the supplement alone has MADW


def test_what_is_lost_or_differs_is_marked():
    printed = tables.printed("table-01")
    assert row(printed, dataset="VOC 2012", k="3", method="MLA-LP")["note"].startswith("supplement: ASR 43.90")
    lost = row(printed, dataset="COCO 2014", k="10", method="MASW")
    assert (lost["pert"], lost["note"]) == ("", tables.LOST)
    assert lost["asr"] != ""
    never = row(tables.printed("table-02"), dataset="VOC 2012", k="2", method="kUV")
    assert (never["asr"], never["note"]) == ("", "paper: no result within a week")
    worst = tables.printed("table-05")
    assert (row(worst, dataset="VOC 2012", k="10", method="MASW")[list(tables.COLUMNS)] == "").all()
    assert (tables.printed("table-s09")["sac"] == "").all()


def test_rows_are_sorted_by_case_data_set_and_k():
    printed = tables.printed("table-08")
    assert printed["case"].drop_duplicates().tolist() == ["best", "random", "worst"]
    best = printed[printed["case"] == "best"]
    assert best["dataset"].drop_duplicates().tolist() == ["NUS-WIDE", "Open Images"]
    assert best["k"].iloc[:27:9].tolist() == ["3", "5", "10"]


def test_ours_stand_beside_the_blocks_that_were_run():
    ours = pd.DataFrame({
        "case": "", "dataset": "VOC 2012", "k": [3, 3], "method": ["MASW", "TkML"], "asr": [100.0, 90.0],
        "sasr": [100.0, 95.0], "pert": [0.5, 0.4], "lfr": [99.0, 80.0], "images": [4, 4],
    })  # fmt: skip
    frame = tables.table("table-01", ours).frame
    assert len(frame) == 14
    masw = frame[frame["method"] == "MASW"].iloc[0]
    assert (masw["paper_asr"], masw["ours_asr"], masw["status"]) == ("97.13", 100.0, "done")
    assert set(frame["status"]) == {"done", "not run"}
    assert "case" not in frame
    lp = tables.table("table-01", ours.assign(method=["MASW", "MLA-LP"])).frame.set_index("method")
    assert "not for a ranking" in lp.loc["MLA-LP", "note"]
    assert not lp.loc["MASW", "note"]
    targeted = tables.table("table-03", ours.assign(case="best")).frame
    assert targeted["case"].unique().tolist() == ["best"]
