"""Pairs hold their target set, configs aim at Ω or Ψ, failures count as clean, and tables join the printed rows."""

import inspect
import math

import pandas as pd
import pytest
import torch

from companion.papers.gmla import experiments as paper
from companion.papers.with_logits import with_logits
from companion.report import reported
from companion.victims import graphs
from flipbook import attacks, evaluation
from flipbook.goals import HideLabels, LabelVector
from flipbook.graphs import consistency


@pytest.fixture(scope="module")
def clean():
    return paper.clean(paper.setting("figure-02", "laptop", "ASL"), 128)


@pytest.fixture(scope="module")
def setup(clean):
    return paper.setup(clean, 2, paper.Size(4, 2, 3, 128, 5))


def test_every_printed_cell_has_a_panel_and_every_method_a_trial(setup):
    printed = reported("gmla/table-01")
    cells = {(setting.dataset, setting.model) for setting in paper.settings("table-01")}
    assert cells == set(zip(printed["dataset"], printed["model"], strict=True))
    configs = paper.bounded(setup, 0.05, 5) + paper.linear(setup)
    assert {t.method for t in configs} == set(printed["method"])
    assert {t.method for t in paper.ablation(setup, 0.05, 5)} == set(reported("gmla/table-02")["method"])
    for config in configs + paper.thresholds(setup, [0.0], 0.05, 5) + paper.deepfools(setup, 5):
        assert set(config.hyper) <= set(inspect.signature(config.attack.keywords["attack"]).parameters)


def test_images_are_consistent_and_hold_their_target_set(clean, setup):
    assert consistency.globally_consistent(clean.graph, clean.predicted).all()
    assert clean.looked_at == 128 > len(clean.indices) == len(clean.images) == len(clean.predicted)
    with torch.no_grad():
        assert torch.equal(clean.model(setup.images) > 0, setup.predicted)
    assert (setup.Ω.sum(1) == 2).all()
    assert (setup.predicted | ~setup.Ω).all()
    assert (setup.Ψ | ~setup.Ω).all()
    assert len(setup.firsts()) == len(setup.sets) == 4
    assert len(setup.firsts(3)) == 3
    assert setup.firsts().numbers.tolist() == [0, 1, 2, 3]
    more = paper.setup(clean, 2, paper.Size(4, 3, 3, 128, 5))
    assert set(zip(setup.indices, setup.numbers.tolist(), strict=True)) <= set(
        zip(more.indices, more.numbers.tolist(), strict=True)
    )
    for text, Ψ in zip(setup.names(), setup.Ψ, strict=True):
        assert {line.removeprefix("+ ") for line in text.split("\n")} == set(clean.graph.names(Ψ))


def test_who_aims_at_what(setup):
    goals = {t.method: t.goal for t in paper.bounded(setup, 0.05, 5) + paper.linear(setup)}
    assert torch.equal(goals["MLA-U"].hidden, setup.Ω)
    assert torch.equal(goals["MLA-C"].hidden, setup.Ω)
    assert torch.equal(goals["GMLA"].hidden, setup.Ψ)
    assert torch.equal(goals["MLA-LP"].target, setup.predicted & ~setup.Ω)
    for config in paper.ablation(setup, 0.05, 5):
        assert torch.equal(config.goal.hidden, setup.Ψ)
    deepfools = {t.method: t.goal for t in paper.deepfools(setup, 5)}
    assert isinstance(deepfools["MLA-C"], LabelVector)
    assert torch.equal(deepfools["GMLA_alpha"].hidden, setup.Ψ)
    bound = paper.deepfools(setup, 5)[0].hyper["bound"]
    assert bound == pytest.approx(5000 / 255 * (64 * 64 / 224**2) ** 0.5)


def test_observed_adds_logits_of_the_answers_and_nothing_else(setup):
    model, goal = setup.clean.model, HideLabels(setup.Ω)
    plain = attacks.mla_u(model, setup.images, goal, bound=0.05, max_iterations=3)
    seen = with_logits(model, setup.images, goal, attack=attacks.mla_u, bound=0.05, max_iterations=3)
    assert torch.equal(seen.images, plain.images)
    assert torch.equal(seen.forwards, plain.forwards)
    with torch.no_grad():
        assert torch.equal(seen.trace["logits"], model(plain.images))


def test_failures_are_measured_as_clean_images(setup, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    configs = paper.bounded(setup, 0.02, 4)
    rows = paper.run(setup, configs, progress=False)
    assert list(rows.columns[:3]) == ["dataset", "model", "method"]
    assert len(rows) == 3 * len(setup)
    after = torch.stack(evaluation.traces(rows, "logits")) > 0
    before, Ω = setup.predicted.repeat(3, 1), setup.Ω.repeat(3, 1)
    off = ~(after & Ω).any(1).numpy()
    reached = rows["reached"].to_numpy()
    assert 0 < reached.sum() < len(rows)
    assert (rows["fr_n"].to_numpy() == (off & reached)).all()
    assert (rows["ntr_all"][~reached] == 0).all()
    assert rows["rmsd"].isna().to_numpy().tolist() == (rows["fr_n"] == 0).to_numpy().tolist()
    assert rows["rmsd"].dropna().tolist() == pytest.approx((255 * rows["mse"][rows["fr_n"] > 0] ** 0.5).tolist())
    changed = ((after != before) & ~setup.Ψ.repeat(3, 1)).any(1).numpy()
    assert ((rows["ntr_all"] > 0).to_numpy() == (changed & reached)).all()


def test_answers_beyond_the_bound_do_not_count(setup, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    few = setup.firsts(2)
    configs = paper.linear(few, 2)
    everything = paper.unfiltered(few, configs, progress=False)
    assert set(everything["method"]) == {paper.UNFILTERED}
    nothing = paper.run(few, configs, within=1e-9, progress=False)
    assert (nothing["fr_n"] == 0).all()
    assert (nothing["ntr_all"] == 0).all()
    largest = float(everything["linf"].max())
    same = paper.run(few, configs, within=largest, progress=False)
    assert same["fr_n"].tolist() == everything["fr_n"].tolist()


def test_cosines_and_projections_are_those_of_the_steps(setup, tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    rows = paper.run(setup, paper.thresholds(setup, [-1.0, 1.0], 0.02, 3), progress=False)
    assert set(rows["parameters"]) == {"τ = -1", "τ = 1"}
    steps = paper.steps(rows)
    assert steps["projected"].tolist() == [0] * len(setup) + steps["steps"].tolist()[len(setup) :]
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


def test_sizes_and_bad_input(setup):
    assert paper.size("table-01", sets=3, images=0).sets == 3
    assert paper.size("table-01", sets=3, images=0).images == paper.size("table-01").images
    assert paper.reduced("table-01", paper.size("table-01"), [setup]) == "4 target sets, 4 of 50 images a set"
    assert "4 of 5 sets" not in paper.summary([setup])
    assert f"{len(setup)} pairs" in paper.summary([setup])
    with pytest.raises(ValueError, match="images is -1"):
        paper.size("table-01", images=-1)
    with pytest.raises(ValueError, match="no paper profile yet"):
        paper.settings("table-01", "paper")
    with pytest.raises(ValueError, match="choose one of 'table-01'"):
        paper.settings("figure-03")
    with pytest.raises(ValueError, match="no 9 labels are on together in 3 images of pictograms20"):
        paper.setup(setup.clean, 9, paper.Size(4, 2, 3, 128, 5))


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
