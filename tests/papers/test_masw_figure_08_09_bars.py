"""Bars with intervals."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.papers.masw.figure_08_09 import bars


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_bars_are_means_with_intervals_in_order_of_appearance():
    rows = pd.DataFrame(
        [{"case": case, "method": name, "asr": value, "pert": 3 * value / 100}
         for case in ("UT", "TB") for name, of in (("b", (0, 100)), ("a", (40, 60))) for value in of]
    )  # fmt: skip
    figure = bars(
        {"one": rows, "two": rows}, {"asr": "ASR (%)", "pert": "Pert"}, lambda values: (min(values), max(values))
    )
    left, right, *_ = figure.axes
    assert len(figure.axes) == 4
    assert [label.get_text() for label in left.get_xticklabels()] == ["UT", "TB"]
    assert [bar.get_height() for bar in left.containers[0]] == [50, 50]
    assert left.lines[0].get_ydata().tolist() == [0, 100]
    assert left.get_ylim() == (0, 104)
    assert right.get_ylim()[1] < 5
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["b", "a"]
    assert left.get_legend() is None
