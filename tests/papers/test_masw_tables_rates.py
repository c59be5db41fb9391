"""Bars of rates stand where our numbers are, with a mark at the printed one."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.papers.masw.tables import rate_bars

ROWS = pd.DataFrame({
    "dataset": ["A"] * 4 + ["B"] * 2, "k": ["3", "10", "3", "10", "3", "10"], "method": ["x", "x", "y", "y", "x", "x"],
    "ours_asr": [80.0, 60.0, 20.0, None, 5.0, 6.0], "paper_asr": ["70", "", "30", "10", "", ""],
    "passes": [2, 4, 200, 400, 8, 16],
})  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_bar_for_each_of_ours_and_a_mark_for_each_printed_number():
    figure = rate_bars(ROWS, {"asr": "ASR", "passes": "passes"})
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["A: ASR", "A: passes", "B: ASR", "B: passes"]
    first = figure.axes[0]
    widths = [bar.get_width() for bar in first.patches]
    assert widths[:3] == [80, 20, 60]
    assert sorted(x for line in first.lines for x in line.get_xdata() if x == x) == [10, 30, 70]
    bar, mark = first.patches[0], first.lines[0]
    assert mark.get_ydata()[0] == pytest.approx(bar.get_y() + bar.get_height() / 2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["k = 3", "k = 10", "printed"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["x", "y"]
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first method is on top


def test_without_printed_numbers_there_is_no_word_of_them_and_times_are_logarithmic():
    figure = rate_bars(ROWS, {"passes": "passes"}, ("dataset", "method"), top=None)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["k = 3", "k = 10"]
    assert [axis.get_xscale() for axis in figure.axes] == ["log"] * 3
    assert figure.axes[2].get_title() == "B, x: passes"
