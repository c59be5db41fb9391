"""Variants, balls, paths and claims of the MASW paper's ablations."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_08_09
from flipbook.storage import places


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=2, iterations=3))


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)


@pytest.mark.parametrize("artefact", list(figure_08_09.PARTS))
def test_variants_give_their_attacks_what_these_know(setup, artefact):
    for part in figure_08_09.PARTS[artefact]:
        for block in part.blocks:
            for ball in part.balls:
                configs = [figure_08_09._config(setup, block, ball, of) for of in part.variants]
                for config in configs:
                    assert set(config.hyper) <= set(inspect.signature(config.attack).parameters)
                    assert config.hyper["radius"] == figure_08_09.radius(setup.setting, block[0], ball)
                shown = [config.method for config in configs]
                assert len(set(shown)) == len(shown)


def test_the_tight_ball_is_smaller(setup):
    for case in figure_08_09.CASES:
        assert figure_08_09.radius(setup.setting, case, figure_08_09.TIGHT) < figure_08_09.radius(
            setup.setting, case, figure_08_09.TABLES
        )
    assert "0.9, tight τ 0.4 / 0.6" in figure_08_09.caption(setup)


def test_a_quarter_of_the_step_is_all_that_differs(setup):
    part = figure_08_09.PARTS["figure-s04"][0]
    for of in part.variants:
        long, short = (figure_08_09._config(setup, ("best", 10), ball, of) for ball in part.balls[1:])
        assert short.hyper["learning_rate"] == long.hyper["learning_rate"] / 4
        assert short.hyper | {"learning_rate": 0} == long.hyper | {"learning_rate": 0}


def test_steps_are_told_as_a_share_of_the_ball(setup):
    """The first step is lr |g| long, whatever the ball: the tight one makes it a larger share."""
    rows = figure_08_09.run(setup, figure_08_09.PARTS["figure-s04"], progress=False)
    lines = figure_08_09.summary(rows).query("case == 'TW' and method == 'without SPW'").set_index("ball")["step"]
    assert lines[figure_08_09.TIGHT] > lines[figure_08_09.TABLES] > 0
    assert lines[figure_08_09.TIGHT + figure_08_09.SHORT] < lines[figure_08_09.TIGHT]


def test_rows_become_a_table_with_intervals_and_paths(setup):
    parts = figure_08_09.PARTS["figure-09"][1:]
    rows = figure_08_09.run(setup, parts, progress=False)
    lines = figure_08_09.summary(rows)
    assert lines["method"].tolist() == ["FE", "SPL", "SPW"]
    assert lines["case"].tolist() == ["UT"] * 3
    np.testing.assert_allclose(lines["threshold"][:2], [1.0, 1.01**4], rtol=1e-6)  # after the fourth look
    assert lines["slack"].nunique() == 1  # the clean images are the same
    assert lines["left"].between(0, 1).all()
    assert set(lines["asr_95"]) == {"0 to 0"}
    drawn = figure_08_09.drawn(rows, "figure-09")
    assert list(drawn) == ["ε from 1 on"]
    assert drawn["ε from 1 on"]["lfr"].max() <= 100


def test_untraced_parts_have_no_paths(setup):
    parts = figure_08_09.PARTS["figure-s04"]
    rows = figure_08_09.run(
        setup, (figure_08_09.Part("MASW", (("", 3),), parts[0].variants, (figure_08_09.TIGHT,)),), progress=False
    )
    assert {"left", "threshold"}.isdisjoint(figure_08_09.summary(rows))
    assert list(figure_08_09.drawn(rows, "figure-s04")) == [figure_08_09.TIGHT]


def test_rises_and_what_is_left_are_read_off_the_path(monkeypatch):
    nan = torch.nan
    found = [torch.tensor([8.0, 4.0, 5.0, 2.0]), torch.tensor([4.0, 7.0, nan, nan])]
    monkeypatch.setattr(figure_08_09.evaluation, "traces", lambda rows, name: found)
    assert figure_08_09.paths(pd.DataFrame(), ("hinges",)) == {"median_rise": 2.0, "left": 1.0}
    monkeypatch.setattr(figure_08_09.evaluation, "traces", lambda rows, name: [torch.tensor([3.0, 0.0])])
    assert figure_08_09.paths(pd.DataFrame(), ("hinges",)) == {"median_rise": 0.0, "left": 0.0}
    assert figure_08_09.paths(pd.DataFrame(), ()) == {}


def test_intervals_enclose_the_mean_and_repeat():
    values = np.arange(20.0)
    low, high = figure_08_09.interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20**0.5, rel=0.15)
    assert figure_08_09.interval(values) == (low, high)
    assert figure_08_09.interval([3.0] * 5) == (3.0, 3.0)
    assert np.isnan(figure_08_09.interval([1.0])).all()


def rows(part, ball, case="", k=3, **methods):
    """Ten images for every method, all with the same rate."""
    return pd.DataFrame(
        [
            {"part": part, "ball": ball, "dataset": "VOC 2012", "case": case, "k": k, "image": i, "method": name}
            | {"success": rate > 0.5, "asr": rate > 0.5, "sasr": rate, "lfr": rate, "l2": 2 - rate}
            for name, rate in methods.items()
            for i in range(10)
        ]
    )  # fmt: skip


def verdicts(of):
    return {(claim.text): claim.holds for claim in of}


def test_claims_of_figure_9_say_tie_or_winner():
    def both(**rates):
        return pd.concat([rows("as published", ball, **rates) for ball in (figure_08_09.TABLES, figure_08_09.TIGHT)])

    tie = verdicts(figure_08_09.figure_09(both(FE=0.9, SPL=0.9, SPW=0.9)))
    assert tie.pop("the three rules end with the same labels hidden and ranked") is True
    assert set(tie.values()) == {None}
    better = verdicts(figure_08_09.figure_09(both(FE=0.2, SPL=0.6, SPW=0.9)))
    assert better["SPW has a higher ASR than FE, tight τ"] is True
    assert better["SPW has a higher LFR than SPL, tight τ"] is True
    assert better["SPW needs smaller perturbations than SPL, the tables' τ"] is True
    assert better["the three rules end with the same labels hidden and ranked"] is False


def test_claims_of_figure_s4_follow_the_rows():
    pairs = {"without SPW": 0.6, "with SPW": 0.9}
    found = figure_08_09.figure_s04(
        pd.concat([rows("MASW", ball, **pairs) for ball in (figure_08_09.TABLES, figure_08_09.TIGHT)])
    )
    assert verdicts(found)["with SPW has a higher LFR than without SPW, tight τ"] is True
    assert len(list(found)) == 8


def test_claims_of_figure_8_compare_within_a_part_and_across_for_the_exact_ranking():
    T, τ = figure_08_09.TABLES, figure_08_09.TIGHT
    a = [rows("a: measures", ball, **{"ML-C&W": 0.1, "TkML": 0.6, "MASW, w = 1": 0.9}) for ball in (T, τ)]
    b = [rows("b: ML-C&W", T, k=10, **{"ML-C&W": 0.9, "ML-C&W + SPW": 0.2})]
    c = [rows("c: TkML", ball, "best", 10, **{"TkML": 0.9, "TkML + SPW": 0.2}) for ball in (T, τ)]
    ours = [rows("ours: exact", T, "best", 10, **{"exact ranking": 0.9, "exact ranking + SPW": 0.9})]
    found = verdicts(figure_08_09.figure_08(pd.concat([*a, *b, *c, *ours])))
    assert found["the new measures alone (w = 1) hide more labels than TkML, tight τ"] is True
    assert found["SPW raises ML-C&W's ASR, the tables' τ"] is False
    assert found["SPW raises TkML's LFR, tight τ"] is False
    assert found["SPW does better with the exact ranking than with TkML's z[k]"] is True
