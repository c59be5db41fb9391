"""Universal perturbations of the MASW paper: learnt once, measured on other images."""

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import tables, universals
from flipbook.storage import places


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return universals.setup(setting, universals.size(training=6, test=10, passes=1, iterations=3, ks=(3,)))


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)


def test_training_images_are_others_and_the_ball_has_the_published_mean_square(setup):
    assert len(setup.training) == 6
    assert len(setup.single.images) == 10
    assert setup.radius == pytest.approx(50 * 64 / 300)
    assert set(tables.methods("table-02")) == set(tables.methods("table-07")) == set(universals.METHODS)


def test_what_was_learnt_is_found_again(setup, monkeypatch):
    learnt = universals.learn(setup, "MASW", 3, progress=False)
    monkeypatch.setattr(universals.universal, "save", None)  # nothing new may be written
    again = universals.learn(setup, "MASW", 3, progress=False)
    assert torch.equal(again.perturbation, learnt.perturbation)
    assert learnt.record["batch_size"] == 2
    assert learnt.record["hide"]
    with pytest.raises(TypeError):
        universals.learn(setup, "MASW", 3, patience=7, progress=False)  # another search
    with pytest.raises(ValueError, match="method"):
        universals.learn(setup, "kFool", 3)


def test_rows_and_lines(setup):
    rows = universals.rows(setup, [("TkML", 3), ("MASW", 3)], progress=False)
    assert rows["method"].tolist() == ["TkML"] * 10 + ["MASW"] * 10
    assert rows["image"].tolist() == setup.single.indices * 2
    lines = universals.summarise(rows).set_index("method")
    assert lines["images"].tolist() == [10, 10]
    for name in ("TkML", "MASW"):
        own = rows[rows["method"] == name]
        assert lines.loc[name, "asr"] == pytest.approx(100 * own["asr"].mean())
        assert lines.loc[name, "pert"] == pytest.approx(100 * 510 * own["norm"].iloc[0] / 64**2)
        assert 0 < own["norm"].iloc[0] <= setup.radius
    assert lines.loc["MASW", universals.SAME] == lines.loc["MASW", "asr"]  # its own length


def test_of_length_changes_the_length_alone(setup):
    learnt = universals.learn(setup, "TkML", 3, progress=False)
    z, same = learnt.perturbation, universals.of_length(learnt, 2.0).perturbation
    assert float(same.norm()) == pytest.approx(2.0, rel=1e-5)
    assert torch.allclose(same / same.norm(), z / z.norm(), atol=1e-6)


def test_costs_count_the_attacks_passes_and_compare_with_masw(setup):
    costs = universals.costs(setup, [("TkML", 3), ("MASW", 3)], progress=False).set_index("method")
    record = universals.learn(setup, "TkML", 3, progress=False).record
    assert costs.loc["TkML", "passes"] == record["forwards"] + record["backwards"] - record["evaluated"] > 0
    assert costs.loc["MASW", universals.TIMES] == 1
    assert costs.loc["TkML", universals.TIMES] == pytest.approx(
        costs.loc["TkML", "passes"] / costs.loc["MASW", "passes"]
    )
    frame = universals.cost_table(costs.reset_index()).frame.set_index("method")
    assert frame.loc["TkML", "paper_time_h"] == "0.68"
    assert frame.loc["TkML", f"paper_{universals.TIMES}"] == f"{0.68 / 0.59:.2f}"
    assert frame.loc["PGD", "status"] == "not run"


def test_cells_leave_out_what_a_laptop_has_no_time_for():
    size = universals.size()
    small, large = (paper.settings([name])[0] for name in ("VOC 2012", "Open Images"))
    assert {k for name, k in universals.cells(small, size) if name == "MADW"} == {3, 10}
    assert len(universals.cells(small, size)) == 4 * 6 + 2
    assert {k for name, k in universals.cells(large, size) if name in ("MADW", "TkMIA", "TkALC")} == {3}
    assert len(universals.cells(large, size)) == 4 * 4 + 3
    assert universals.cells(small, universals.size(ks=(5,)), ["MADW", "PGD"]) == [("PGD", 5)]


def test_sizes():
    assert universals.size().ks == (2, 3, 5, 10)
    assert universals.size(ks=(3,)).ks == (3,)
    with pytest.raises(ValueError, match="training is -1"):
        universals.size(training=-1)
    assert "100 of 3000 training images" in universals.reduced(universals.size())
