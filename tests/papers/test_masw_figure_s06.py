"""Figures S.6 and 10 of the MASW paper: objectives and thresholds along runs."""

import pandas as pd
import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_10, figure_s06
from companion.report import Claims


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=3, iterations=6))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))


def test_a_rise_is_above_the_lowest_value_so_far_and_after_the_start():
    paths = torch.tensor([[9.0, 1, 8, 5, 6, 4, 4.5], [3.0, 2, 1, 0, 0, 0, 0]])
    assert figure_s06.rise(paths, 2).tolist() == [1.0, 0.0]
    assert figure_s06.rise(paths, 0).tolist() == [7.0, 0.0]
    with pytest.raises(ValueError, match="paths have 6 iterations, at least 30"):
        figure_s06.rise(paths)


def test_runs_go_on_after_success_and_keep_their_objectives(setup, store):
    rows = figure_s06.runs(setup, ("", 3), share=0.5, burn_in=2, progress=False)
    assert rows["setting"].unique().tolist() == ["untargeted, 0.5 τ"]
    assert rows["backwards"].tolist() == [6] * 9
    own, plain = figure_s06.objective(rows), figure_s06.unweighted(rows)
    assert own.shape == plain.shape == (9, 7)
    tkml = (rows["method"] == "TkML").to_numpy()
    assert torch.equal(own[torch.tensor(tkml)], plain[torch.tensor(tkml)])  # no sum of hinges
    masw = torch.tensor((rows["method"] == "MASW").to_numpy())
    assert (own[masw][:, 1:] <= plain[masw][:, 1:] + 1e-6).all()  # weights are at most 1
    assert rows["fluctuates"].tolist() == [value > 0.3 for value in rows["rise"]]


def test_printed_shares_stand_beside_ours():
    lines = pd.DataFrame({
        "setting": ["untargeted, τ", "worst, τ", "untargeted, 0.35 τ"], "dataset": "VOC 2012", "method": "MASW",
        "fluctuates": [1.0, 2.0, 3.0], "fluctuates_unweighted": 4.0, "asr": 5.0, "rise": 0.1, "rise_unweighted": 0.2,
        "images": 12,
    })  # fmt: skip
    frame = figure_s06.beside_printed(lines).frame
    ours = frame[frame["ours_fluctuating"].notna()].set_index("setting")
    assert ours["paper_fluctuating"].to_dict() == {
        "untargeted, τ": "6.5",
        "worst, τ": "6.0",
        "untargeted, 0.35 τ": "",
    }
    assert len(frame[frame["setting"] == "worst, τ"]) == 12
    assert figure_s06.bars(lines)["share"].tolist() == [1, 2, 3, 4, 4, 4]


def test_one_thing_is_changed_at_a_time(setup):
    configs = figure_10.configs(setup, ("worst", 10), [0.3, 0.5], [1.01])
    changed = [
        (config.method, config.parameters, config.hyper.get("lam1"), config.hyper.get("lam2")) for config in configs
    ]
    assert changed == [
        (figure_10.ALONE, "0.3", 0.3, None),
        (figure_10.ALONE, "0.5", 0.5, None),
        (figure_10.TOGETHER, "0.3", 0.3, 0.7),
        (figure_10.TOGETHER, "0.5", 0.5, 0.5),
        (figure_10.GROWTH, "1.01", None, None),
    ]


def test_the_threshold_of_every_iteration_is_kept(setup, store):
    rows, paths = figure_10.thresholds(setup, ("worst", 10), progress=False)
    assert paths.shape == (3, 7)
    assert paths[:, 0].tolist() == pytest.approx([0.0101] * 3)  # the first iteration always lowers the objective
    assert rows["backwards"].tolist() == [6] * 3


def test_growing_to_the_end():
    paths = torch.tensor([[1.0, 2, 3, 3], [1.0, 3, 2, 2], [1.0, 1, 1, 2]])
    assert figure_10.still_growing(paths, 2).tolist() == [True, False, True]
    claims = Claims()
    figure_10.most(claims, "a", "here", torch.tensor([True] * 5 + [False] * 4))
    figure_10.most(claims, "b", "here", torch.tensor([True] * 4 + [False] * 5))
    figure_10.most(claims, "c", "here", torch.tensor([True] * 3))
    figure_10.most(claims, "d", "here", torch.zeros(0, dtype=torch.bool))
    assert [claim.holds for claim in claims] == [True, False, None, None]
