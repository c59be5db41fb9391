"""Figures 2 and 3a of the MASW paper: constraints with less weight."""

import pandas as pd
import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_02_03
from companion.report import Claims


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=20, iterations=4))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))


def test_every_label_has_a_constraint_and_failures_count_all_of_them():
    target, present = torch.tensor([[1, 1, 0, 0]]), torch.tensor([[0, 0, 1, 0]])
    goal = figure_02_03.EveryLabel(target, 2, present)
    z = torch.tensor([[1.0, -1.0, -2.0, 3.0]])
    assert goal.per_label().margins(z).tolist() == [[1, -1, 2, -3]]
    measured = goal.measures(z, z)
    assert measured["missed"].tolist() == [0.5]
    assert measured["sasr"].tolist() == [0.5]
    assert goal[torch.tensor([0])].measures(z, z)["missed"].tolist() == [0.5]


def test_the_hardest_are_those_with_the_largest_slack_and_ties_go_by_order():
    assert figure_02_03.hardest(torch.tensor([[1.0, 3.0, 2.0, 3.0]]), 2).tolist() == [[False, True, False, True]]
    assert figure_02_03.hardest(torch.zeros(1, 3), 1).tolist() == [[True, False, False]]


def test_factors_multiply_the_hardest_constraints_alone(setup, store):
    part = setup[[0, 1, 2]]
    rows = figure_02_03.over_factors(part, ("worst", 10), (0.5, 1.0), progress=False)
    assert rows["factor"].tolist() == [1.0] * 3 + [0.5] * 3
    assert (rows["afd_slc"] + rows["sasr"]).tolist() == pytest.approx([1.0] * 6)
    assert rows["missed"].between(0, 1).all()
    goal, which = figure_02_03.every_label(part, ("worst", 10)), torch.zeros_like(part.present)
    which[:, 4] = True
    config = figure_02_03.weighed(part, ("worst", 10), goal, which, 0.5)
    assert config.parameters == "0.5"
    assert config.per_image["factors"][0].tolist() == [1.0] * 4 + [0.5] + [1.0] * 15


def test_curves_are_relative_to_factor_one():
    rows = pd.DataFrame({
        "dataset": ["A"] * 4 + ["B"] * 2,
        "image": [0, 1, 0, 1, 0, 0],
        "factor": [1.0, 1.0, 2.0, 2.0, 1.0, 2.0],
        "missed": [0.2, 0.4, 0.3, 0.5, 0.0, 0.1],
    })  # fmt: skip
    assert figure_02_03.relative(rows, "missed")[:4].tolist() == pytest.approx([2 / 3, 4 / 3, 1, 5 / 3])
    assert figure_02_03.relative(rows, "missed")[4:].isna().all()
    lines = figure_02_03.curve(rows, "missed").set_index(["dataset", "factor"])
    assert lines.loc[("A", 2.0), "value"] == pytest.approx(4 / 3)
    assert lines.loc[("A", 2.0), "error"] == pytest.approx(0, abs=1e-12)  # both images change by the same
    assert lines.loc[("A", 1.0), "value"] == pytest.approx(1)


def test_images_are_chosen_by_their_number_of_labels(setup):
    places = figure_02_03.with_labels(setup, 2)
    assert setup[places].present.sum(dim=1).unique().tolist() == [2]
    assert places == sorted(places)
    with pytest.raises(ValueError, match="none of 20 images has 7 labels"):
        figure_02_03.with_labels(setup, 7)


def test_the_shown_image_has_one_hard_constraint(setup, store):
    of = figure_02_03.one_hard_constraint(setup, 2, 0.1, 0.3, images=3, progress=False)
    assert of.off.shape == (2, 3)
    assert len(of.shown.names) == 2
    assert of.shown.images.shape == (3, 3, 64, 64)
    assert of.shown.weights == [[], [1.0, 1.0], [0.1 if i == of.shown.label else 1.0 for i in range(2)]]
    lines = of.shown.lines()
    assert lines["slack (logits)"].idxmax() == of.shown.label
    assert lines["weight then"].min() == 0.1


def judged(off, found):
    shown = figure_02_03.Shown(0, ["a"], torch.zeros(3, 3, 4, 4), [torch.zeros(1)] * 3, 0, 0.1)
    claims = Claims()
    figure_02_03.OneHard(shown, torch.tensor(off), torch.tensor(found), 0.0).claim(claims, "here")
    return [claim.holds for claim in claims]


def test_claims_need_the_pattern_and_four_images_that_change():
    assert judged([[1, 1, 1, 1], [2, 2, 2, 2]], [True] * 4) == [True, True]
    assert judged([[2, 2, 2, 2], [1, 1, 1, 1]], [False] * 4) == [False, False]
    assert judged([[1, 1, 1, 1], [1, 2, 2, 2]], [False, True, True, True]) == [True, None]
