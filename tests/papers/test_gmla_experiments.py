"""Pairs hold their target set, trials aim at Ω or Ψ, failures count as clean, and tables join the printed rows."""

import inspect
import math

import pandas as pd
import pytest
import torch

from companion.papers.gmla import experiments as paper
from companion.papers.with_logits import observed
from companion.report import reported
from flipbook import attacks, graphs
from flipbook.evaluation import experiment
from flipbook.goals import HideLabels, LabelVector
from flipbook.graphs import consistency


@pytest.fixture(scope="module")
def clean():
    return paper.clean(paper.panel("figure-02", "laptop", "ASL"), 128)


@pytest.fixture(scope="module")
def scene(clean):
    return paper.scene(clean, 2, paper.Size(4, 2, 3, 128, 5))


def test_every_printed_cell_has_a_panel_and_every_method_a_trial(scene):
    printed = reported("gmla/table-01")
    cells = {(panel.dataset, panel.model) for panel in paper.panels("table-01")}
    assert cells == set(zip(printed["dataset"], printed["model"], strict=True))
    trials = paper.bounded(scene, 0.05, 5) + paper.linear(scene)
    assert {t.method for t in trials} == set(printed["method"])
    assert {t.method for t in paper.ablation(scene, 0.05, 5)} == set(reported("gmla/table-02")["method"])
    for trial in trials + paper.thresholds(scene, [0.0], 0.05, 5) + paper.deepfools(scene, 5):
        assert set(trial.hyper) <= set(inspect.signature(trial.attack.keywords["attack"]).parameters)


def test_images_are_consistent_and_hold_their_target_set(clean, scene):
    assert consistency.globally_consistent(clean.graph, clean.predicted).all()
    assert clean.looked_at == 128 > len(clean.indices) == len(clean.images) == len(clean.predicted)
    with torch.no_grad():
        assert torch.equal(clean.model(scene.images) > 0, scene.predicted)
    assert (scene.Ω.sum(1) == 2).all()
    assert (scene.predicted | ~scene.Ω).all()
    assert (scene.Ψ | ~scene.Ω).all()
    assert len(scene.firsts()) == len(scene.sets) == 4
    assert len(scene.firsts(3)) == 3
    assert scene.firsts().numbers.tolist() == [0, 1, 2, 3]
    more = paper.scene(clean, 2, paper.Size(4, 3, 3, 128, 5))
    assert set(zip(scene.indices, scene.numbers.tolist(), strict=True)) <= set(
        zip(more.indices, more.numbers.tolist(), strict=True)
    )
    for text, Ψ in zip(scene.names(), scene.Ψ, strict=True):
        assert {line.removeprefix("+ ") for line in text.split("\n")} == set(clean.graph.names(Ψ))


def test_who_aims_at_what(scene):
    goals = {t.method: t.goal for t in paper.bounded(scene, 0.05, 5) + paper.linear(scene)}
    assert torch.equal(goals["MLA-U"].hidden, scene.Ω)
    assert torch.equal(goals["MLA-C"].hidden, scene.Ω)
    assert torch.equal(goals["GMLA"].hidden, scene.Ψ)
    assert torch.equal(goals["MLA-LP"].target, scene.predicted & ~scene.Ω)
    for trial in paper.ablation(scene, 0.05, 5):
        assert torch.equal(trial.goal.hidden, scene.Ψ)
    deepfools = {t.method: t.goal for t in paper.deepfools(scene, 5)}
    assert isinstance(deepfools["MLA-C"], LabelVector)
    assert torch.equal(deepfools["GMLA_alpha"].hidden, scene.Ψ)
    bound = paper.deepfools(scene, 5)[0].hyper["bound"]
    assert bound == pytest.approx(5000 / 255 * (64 * 64 / 224**2) ** 0.5)


def test_observed_adds_logits_of_the_answers_and_nothing_else(scene):
    model, goal = scene.clean.model, HideLabels(scene.Ω)
    plain = attacks.mla_u(model, scene.images, goal, bound=0.05, max_iterations=3)
    seen = observed(model, scene.images, goal, attack=attacks.mla_u, bound=0.05, max_iterations=3)
    assert torch.equal(seen.images, plain.images)
    assert torch.equal(seen.forwards, plain.forwards)
    with torch.no_grad():
        assert torch.equal(seen.trace["logits"], model(plain.images))


def test_failures_are_measured_as_clean_images(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    trials = paper.bounded(scene, 0.02, 4)
    rows = paper.run(scene, trials, progress=False)
    assert list(rows.columns[:3]) == ["dataset", "model", "method"]
    assert len(rows) == 3 * len(scene)
    after = torch.stack(experiment.traces(rows, "logits")) > 0
    before, Ω = scene.predicted.repeat(3, 1), scene.Ω.repeat(3, 1)
    off = ~(after & Ω).any(1).numpy()
    reached = rows["reached"].to_numpy()
    assert 0 < reached.sum() < len(rows)
    assert (rows["fr_n"].to_numpy() == (off & reached)).all()
    assert (rows["ntr_all"][~reached] == 0).all()
    assert rows["rmsd"].isna().to_numpy().tolist() == (rows["fr_n"] == 0).to_numpy().tolist()
    assert rows["rmsd"].dropna().tolist() == pytest.approx((255 * rows["mse"][rows["fr_n"] > 0] ** 0.5).tolist())
    changed = ((after != before) & ~scene.Ψ.repeat(3, 1)).any(1).numpy()
    assert ((rows["ntr_all"] > 0).to_numpy() == (changed & reached)).all()


def test_answers_beyond_the_bound_do_not_count(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    few = scene.firsts(2)
    trials = paper.linear(few, 2)
    everything = paper.unfiltered(few, trials, progress=False)
    assert set(everything["method"]) == {paper.UNFILTERED}
    nothing = paper.run(few, trials, within=1e-9, progress=False)
    assert (nothing["fr_n"] == 0).all()
    assert (nothing["ntr_all"] == 0).all()
    largest = float(everything["linf"].max())
    same = paper.run(few, trials, within=largest, progress=False)
    assert same["fr_n"].tolist() == everything["fr_n"].tolist()


def test_cosines_and_projections_are_those_of_the_steps(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    rows = paper.run(scene, paper.thresholds(scene, [-1.0, 1.0], 0.02, 3), progress=False)
    assert set(rows["parameters"]) == {"τ = -1", "τ = 1"}
    steps = paper.steps(rows)
    assert steps["projected"].tolist() == [0] * len(scene) + steps["steps"].tolist()[len(scene) :]
    cosines = paper.cosines(rows)
    assert (steps["steps"].sum(), steps["opposed"].sum()) == (len(cosines), (cosines < 0).sum())
    assert (cosines.abs() <= 1 + 1e-5).all()
    assert len(rows) <= len(cosines) <= 3 * len(rows)


def test_rates_are_means_over_target_sets_of_equal_weight():
    measures = dict.fromkeys(("fr_s", "fr_s_global", "ntr"), 0.0)
    rows = pd.DataFrame({
        "method": "A", "target_set": [0, 0, 0, 1], "fr_n": [1.0, 1.0, 1.0, 0.0],
        "ntr_all": [0.1, 0.1, 0.1, 0.0], "ssim": [0.9, 0.8, 0.7, None], "passes": [1, 2, 3, 6], **measures,
    })  # fmt: skip
    (line,) = paper.rates(rows, ["method"]).to_dict("records")
    assert (line["FR_N"], line["± FR_N"]) == (50, 50)
    assert (line["NT_R"], line["± NT_R"]) == pytest.approx((5, 5))
    assert (line["ssim"], line["pairs"], line["passes"]) == pytest.approx((0.8, 4, 3))
    assert line["note"] == ""
    assert set(paper.COLUMNS) <= set(line) & set(paper.printed(reported("gmla/table-01")))
    assert paper.printed(reported("gmla/table-02"))["labels"].tolist() == ["1", "2", "3", "4", "5"] * 3


def test_one_image_a_target_set_has_no_spread():
    measures = dict.fromkeys(("fr_s", "fr_s_global", "ntr", "ntr_all", "ssim", "passes"), 0.0)
    alone = pd.DataFrame({"method": "A", "target_set": [0, 1, 2], "fr_n": [1.0, 0.0, 0.0], **measures})
    several = alone.assign(method="B", target_set=[0, 0, 1])
    first, second = paper.rates(pd.concat([alone, several]), ["method"]).to_dict("records")
    assert first["FR_N"] == pytest.approx(100 / 3)
    assert math.isnan(first["± FR_N"])
    assert math.isnan(first["± NT_R"])
    assert (first["note"], second["note"]) == (paper.ALONE, "")
    assert second["± FR_N"] == 25


def test_sizes_and_bad_input(scene):
    assert paper.size("table-01", sets=3, images=0).sets == 3
    assert paper.size("table-01", sets=3, images=0).images == paper.size("table-01").images
    assert paper.reduced("table-01", paper.size("table-01"), [scene]) == "4 target sets, 4 of 50 images a set"
    assert "4 of 5 sets" not in paper.summary([scene])
    assert f"{len(scene)} pairs" in paper.summary([scene])
    with pytest.raises(ValueError, match="images is -1"):
        paper.size("table-01", images=-1)
    with pytest.raises(ValueError, match="no paper profile yet"):
        paper.panels("table-01", "paper")
    with pytest.raises(ValueError, match="choose one of 'table-01'"):
        paper.panels("figure-03")
    with pytest.raises(ValueError, match="no 9 labels are on together in 3 images of pictograms20"):
        paper.scene(scene.clean, 9, paper.Size(4, 2, 3, 128, 5))


def test_the_graph_as_a_table():
    voc = graphs.load("voc")
    lines = paper.nodes(voc).set_index("label")
    assert lines.loc["cat"].tolist() == ["annotated", "carnivore", "4", "1"]
    assert lines.loc["organism"].tolist() == ["abstract", "", "0", "8"]
    assert paper.links_unlike_reported(voc, "voc") == 0
    moved = list(voc.parents)
    moved[voc.index("cat")] = voc.index("vertebrate")
    other = graphs.KnowledgeGraph("voc", voc.labels, tuple(moved), voc.annotated)
    assert paper.links_unlike_reported(other, "voc") == 1
