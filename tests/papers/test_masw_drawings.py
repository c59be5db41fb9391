"""Drawings of the MASW paper's figures from hand-made numbers."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from companion.papers.masw.figure_02_03 import hard_constraints, label_bars
from companion.papers.masw.figure_04 import Ranking, draw_rankings
from companion.papers.masw.figure_05 import TRACES, loops
from companion.papers.masw.figure_10 import ALONE, GROWTH, TOGETHER, by_setting
from companion.papers.masw.figure_s06 import objectives
from companion.report.run_paths import draw_paths, middle


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_the_middle_run_is_the_upper_median():
    assert middle([5.0, 1.0, 3.0]) == 2
    assert middle([5.0, 1.0, 3.0, 4.0]) == 3


def test_paths_are_thin_but_for_one():
    _, axis = plt.subplots()
    draw_paths(axis, torch.tensor([[4.0, 2, 1], [2.0, 2, 2]]), "C0", thick=1, relative=True)
    assert [line.get_linewidth() for line in axis.lines] == [0.8, 1.8]
    assert axis.lines[0].get_ydata().tolist() == [1.0, 0.5, 0.25]


def test_failures_and_objectives():
    lines = pd.DataFrame({"dataset": ["A", "A"], "factor": [0.5, 1], "value": [0.8, 1], "error": [0.1, 0]})
    runs = {name: torch.tensor([[8.0, 2, 4], [4.0, 2, 1]]) for name in ("one", "two")}
    figure = hard_constraints({"missed": lines, "afd_slc": lines}, runs, runs)
    assert len(figure.axes) == 5
    assert figure.axes[1].get_ylim() == figure.axes[4].get_ylim() == (0, 12)
    assert figure.axes[1].lines[0].get_linewidth() == 1.8  # rises by 2, the other by 0


def test_shares_are_bars_of_both_measures():
    shares = pd.DataFrame({
        "setting": "tight", "dataset": ["A", "B"] * 4, "method": ["M", "M", "N", "N"] * 2,
        "measure": ["own"] * 4 + ["plain"] * 4, "share": [0, 50, 100, 50] * 2,
    })  # fmt: skip
    runs = {name: {m: torch.rand(2, 5) for m in ("M", "N", "N, all weights 1")} for name in ("A", "B")}
    rises = {name: {m: [1.0, 2.0] for m in of} for name, of in runs.items()}
    figure = objectives(runs, rises, shares)
    bars = figure.axes[-1]
    assert [round(bar.get_height()) for bar in bars.patches] == [25, 75]
    assert len(figure.axes) == 6 + 2
    assert figure.axes[2].lines[0].get_color() == figure.axes[1].lines[0].get_color()


def test_both_ways_of_changing_λ_share_an_axis():
    values = {"value": [0.1, 0.9], "asr": [10, 20], "sasr": [30, 40], "lfr": [90, 80]}
    errors = {"± asr": 1, "± sasr": 1, "± lfr": 1}
    lines = pd.concat([pd.DataFrame({"method": way} | values | errors) for way in (ALONE, TOGETHER, GROWTH)])
    figure = by_setting(lines, {"ideal": torch.rand(2, 4), "none": torch.rand(0, 4)})
    assert [len(axis.lines) for axis in figure.axes] == [8, 3, 4]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["ideal (2)", "none (0)"]


def test_bars_say_slack_and_weight():
    logits = [torch.tensor([2.0, -1.0])] * 2
    figure = label_bars(torch.rand(2, 3, 4, 4), ["clean", "attacked"], logits, ["a", "b"], [[], [0.1, 1.0]])
    assert texts(figure.axes[2]) == ["0.88", "0.27"]
    assert texts(figure.axes[3]) == ["0.88   ζ 0.38, w 0.1", "0.27   ζ 0.00, w 1"]


def test_loops_stand_above_their_traces_and_readings():
    traces = {name: torch.rand(5) + 0.1 for name in (*TRACES, "TkML")}
    forms = pd.DataFrame({"method": ["a", "b"], "asr": [0, 1], "sasr": [0, 1], "lfr": [0, 1], "l2": [0.1, 0.2]})
    figure = loops(traces, {"MASW": 4, "TkML": None}, forms)
    assert len(figure.axes) == 2 + 5 + 2
    assert texts(figure.axes[1])[-1] == "next iteration"
    assert [len(axis.lines) for axis in figure.axes[2:7]] == [2, 1, 2, 2, 2]


def test_rankings_list_labels_from_the_top():
    ranking = Ranking("clean", torch.rand(3, 4, 4), ["a", "b", "c"], ["own", "target", "other"], 1, 2, None)
    figure = draw_rankings([ranking, ranking], ["left", "right"])
    assert texts(figure.axes[2]) == ["a", "b", "c"]
    assert [patch.get_height() for patch in figure.axes[2].patches[-2:]] == [2, 1.2]
