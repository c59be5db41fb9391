"""Figures 4 and 5 of the MASW paper: readings of its text, and one image's rankings."""

import pandas as pd
import pytest

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_04, figure_05
from companion.report import Claims


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=8, iterations=30))


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))


def test_readings_differ_from_the_first_in_few_options(setup):
    first, *others = figure_05.configs(setup[[0]], ("", 3))
    assert first.goal.scores == "logit"
    assert first.hyper.keys() == paper.config(setup, "MASW", ("", 3)).hyper.keys()
    for config in others:
        assert {name: config.hyper[name] for name in first.hyper} == first.hyper
        assert config.goal.hide
    assert sum(config.goal.scores == "probability" for config in others) == 5


def test_to_the_letter_weights_change_nothing_and_nothing_succeeds(setup):
    part = setup[[0, 1]]
    wanted = (figure_05.OURS, figure_05.PRINTED, figure_05.UNWEIGHTED)
    configs = [config for config in figure_05.configs(part, ("", 3)) if config.method in wanted]
    rows = paper.run(part, {("", 3): configs}, progress=False)
    claims = Claims()
    figure_05.claim(claims, rows, "here")
    assert [claim.holds for claim in claims] == [True, True]
    assert figure_05.lines(rows)["asr"].tolist() == [100, 0, 0]
    spoilt = rows.copy()
    spoilt.loc[rows["method"] == figure_05.UNWEIGHTED, "l2"] += 1
    spoilt.loc[rows["method"] == figure_05.PRINTED, "success"] = True
    claims = Claims()
    figure_05.claim(claims, spoilt, "here")
    assert [claim.holds for claim in claims] == [False, False]


def test_traces_end_where_the_image_leaves(setup):
    run = figure_05.steps(setup, ("", 3), progress=False)
    assert len(run.setup.indices) == 1
    lengths = {len(run.traces[name]) for name in figure_05.QUANTITIES}
    assert lengths == {run.reached["MASW"] + 1}
    assert run.traces["violated"][-1] == 0
    assert (run.traces["violated"][:-1] > 0).all()
    assert len(run.traces["TkML"]) == run.reached["TkML"] + 1


def test_a_ranking_names_all_labels_and_whose_they_are(setup):
    drawn, index, seconds = figure_04.rankings(setup, 1, 3, "best", progress=False)
    targeted, clean, untargeted = drawn
    assert index in setup.indices
    assert seconds > 0
    assert clean.kinds[:4] == ["own", "target", "target", "target"]  # one label, all true labels on top, best targets
    assert (clean.on, clean.reached) == (1, None)
    assert untargeted.reached
    assert untargeted.kinds[:3] == ["other"] * 3
    assert "target" not in untargeted.kinds
    assert sorted(targeted.names) == sorted(clean.names)
    if targeted.reached:
        assert targeted.kinds[:3] == ["target"] * 3
    assert pd.Series(clean.names).is_unique
    with pytest.raises(ValueError, match="has 9 labels"):
        figure_04.rankings(setup, 9, 3, "best")
