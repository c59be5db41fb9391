import pandas as pd
import pytest

from companion.report import beside, reported
from companion.report.tables import plain


@pytest.fixture
def printed():
    columns = ["method", "parameters", "asr", "basr", "mse", "ssim", "note"]
    return pd.DataFrame(
        [
            ("JMA", "(0.1, 200)", "1.00", "1.0000", "2.6e-6", "", ""),
            ("JMA", "(1, 200)", "1.00", "1.0000", "3.3e-5", "", "DOUBTFUL row: contradicts the text"),
            ("ML-C&W", "(0.01, 1000)", "0.58", "0.9583", "", "", "no <n_bs> printed"),
            ("SemA-ML", "300", "0.12", "0.8742", "8.02e-5", "", "no <n_bs> printed"),
        ],
        columns=columns,
    )


@pytest.fixture
def ours():
    return pd.DataFrame(
        [
            {"method": "JMA", "parameters": "(1, 200)", "asr": 0.955, "basr": 0.99, "mse": 1.234e-6, "passes": 1234.4},
            {"method": "JMA", "parameters": "(0.3, 200)", "asr": 1.0, "basr": 1.0, "mse": 0.02, "passes": 7.0},
            {
                "method": "ML-C&W",
                "parameters": "(0.01, 1000)",
                "asr": 0.0,
                "basr": 0.5,
                "mse": float("nan"),
                "passes": 9,
            },
        ]
    )


def test_rows_are_joined_marked_and_kept_in_printed_order(ours, printed):
    table = beside(ours, printed).frame
    assert table["parameters"].tolist() == ["(0.1, 200)", "(1, 200)", "(0.3, 200)", "(0.01, 1000)", "300"]
    assert table["status"].tolist() == ["not run", "done", "added", "done", "not run"]
    assert table["paper_mse"].tolist() == ["2.6e-6", "3.3e-5", "", "", "8.02e-5"]
    assert table["ours_asr"].tolist()[1:4] == [0.955, 1.0, 0.0]
    assert table["note"][4] == "no <n_bs> printed | not run in this profile"
    assert "ours_ssim" not in table
    assert "passes" in table
    assert "seconds_median" not in table


def test_the_page_shows_both_sides_marks_and_notes(ours, printed):
    table = beside(ours, printed, not_run="too long", caption="A & B")
    html = table.html("x")
    assert "A &amp; B" in html
    assert "1.2e-6" in html
    assert "1\u2009234" in html
    assert "ML-C&amp;W" in html
    assert "no &lt;n_bs&gt; printed" in html
    assert "<n_bs>" not in html
    assert html.count("<li>") == 4  # too long, doubtful, added, n_bs: each once
    assert "too long" in table.notes
    assert [i for i, text in enumerate(table.view["ASR", "ours"]) if text == "not run"] == [0, 4]
    assert table.view["MSE", "ours"].tolist()[3] == "–"  # no success, no mean
    assert table.view["", "attack"].tolist() == ["JMA", "", "", "ML-C&amp;W", "SemA-ML"]
    assert "doubtful" in table.classes["ASR", "paper"][1]
    assert ("SSIM", "paper") not in table.view
    assert table.html("x") == beside(ours, printed, not_run="too long", caption="A & B").html("x")


def test_panels_keep_equal_settings_apart(ours, printed):
    panels = pd.concat([printed.assign(panel="a"), printed.assign(panel="b")])
    mine = pd.concat([ours.assign(panel="a"), ours.assign(panel="b", asr=0.25)])
    table = beside(mine, panels, on=["panel", "method", "parameters"]).frame
    assert table[table["status"] == "done"]["ours_asr"].tolist() == [0.955, 0.0, 0.25, 0.25]
    assert table["panel"].tolist() == ["a"] * 5 + ["b"] * 5


def test_a_row_printed_twice_shows_ours_twice_and_ours_twice_is_refused(ours, printed):
    assert (beside(ours, pd.concat([printed, printed])).frame["status"] == "done").sum() == 4
    with pytest.raises(ValueError, match=r"ours: \('JMA', '\(1, 200\)'\) occurs twice"):
        beside(pd.concat([ours, ours[:1]]), printed)
    with pytest.raises(ValueError, match="ours: no column 'panel' to join on"):
        beside(ours, printed, on=["panel", "method", "parameters"])


def test_a_note_of_ours_becomes_a_footnote(ours, printed):
    table = beside(ours.assign(note=["lr 1e-2", None, ""]), printed)
    assert "lr 1e-2" in table.notes
    assert "added here; the paper has no such row" in table.notes


def test_every_printed_jma_table_renders_with_nothing_of_ours():
    for number in range(1, 15):
        printed = reported(f"jma/table-{number:02d}")
        mine = printed[["panel", "method", "parameters"]][:0].assign(asr=[])
        table = beside(mine, printed, on=["panel", "method", "parameters"])
        assert (table.frame["status"] == "not run").all()
        assert len(table.frame) == len(printed)
        marked = ["doubtful" in css for css in table.classes["ASR", "paper"]]
        assert marked == ["DOUBTFUL" in note for note in printed["note"]]


def test_printed_numbers_stay_as_printed_and_a_missing_table_is_named():
    table = reported("jma/table-06")
    assert table["basr"][0] == "1.0000"
    assert table["ssim"][0] == ""
    with pytest.raises(
        FileNotFoundError, match=r"data/reported/jma/table-6\.csv is missing; there are figure-02, table-01"
    ):
        reported("jma/table-6")


def test_plain_tables_write_numbers_in_the_same_way():
    table = plain(pd.DataFrame({"method": ["<b>"], "mse": [0.00012], "seconds": [12.345]}), headings={"seconds": "s"})
    assert table.view.iloc[0].tolist() == ["&lt;b&gt;", "1.2e-4", "12.3"]
    assert table.view.columns.tolist() == ["attack", "MSE", "s"]
