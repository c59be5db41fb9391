"""Curves of rates at equal distances."""

import matplotlib.pyplot as plt
import pandas as pd

from companion.papers.masw.figure_11 import rate_curves


def test_each_panel_has_its_curves_in_one_colour_a_measure():
    first = pd.DataFrame({"asr": [1.0, 2.0], "train_asr": [3.0, 4.0]}, index=[1, 40])
    second = pd.DataFrame({"asr": [5.0, 6.0, 7.0]}, index=[0.01, 1, 5])
    figure = rate_curves({"(a)": ("E", first), "(b)": ("ν", second)}, {"asr": "ASR", "train_asr": "ASR, training"})
    left, right = figure.axes
    by_label = {line.get_label(): line for line in left.lines}
    assert by_label["ASR"].get_color() == by_label["ASR, training"].get_color() == right.lines[0].get_color()
    assert by_label["ASR, training"].get_linestyle() == "--"
    assert right.lines[0].get_ydata().tolist() == [5, 6, 7]
    assert [text.get_text() for text in right.get_xticklabels()] == ["0.01", "1", "5"]
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["ASR", "ASR, training"]
    assert right.get_xlabel() == "ν"
    plt.close(figure)
