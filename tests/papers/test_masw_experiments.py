"""Panels, goals and rows of the MASW paper's attacks on single images."""

import inspect

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import generators, tables
from flipbook.attacks.kfool import RELEASED
from flipbook.generative import Training
from flipbook.goals import TopKEquals, TopKExcludes, top_k
from flipbook.storage import fingerprint, places

TABLES = ("table-01", "table-03", "table-04", "table-05", "table-06", "table-08")


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=4, iterations=6))


def test_images_are_ranked_without_a_mistake_and_more_extend_the_list(setup):
    present = setup.present
    for row, logits, of in zip(top_k(setup.found.chosen.logits, 1), setup.found.chosen.logits, present, strict=True):
        assert of[row].all()
        assert logits[of].min() > logits[~of].max()
    fewer = paper.setup(setup.setting, paper.size(setup.setting, images=2))
    assert fewer.indices == setup.indices[:2]
    assert setup[[1, 3]].indices == [setup.indices[1], setup.indices[3]]


def test_blocks_give_the_goals_and_masw_alone_asks_for_the_threshold(setup):
    excluded, ranked = setup.goal(("", 5)), setup.goal(("worst", 3), hide=True)
    assert isinstance(excluded, TopKExcludes)
    assert (excluded.k, excluded.hide) == (5, False)
    assert isinstance(ranked, TopKEquals)
    assert torch.equal(ranked.target, setup.targets("worst", 3))
    assert not (ranked.target & setup.present).any()
    hides = {name: paper.config(setup, name, ("best", 3)).goal.hide for name in ("TkML", "MASW", "MADW", "PGD")}
    assert hides == {"TkML": False, "MASW": True, "MADW": True, "PGD": False}
    assert not paper.config(setup, "MASW", ("", 3), hide=False).goal.hide
    names = setup.names(setup.targets("best", 3))
    assert [len(text.split(", ")) for text in names] == [3] * 4


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Generators that are hardly trained, in a store of their own."""
    monkeypatch.setattr(generators, "IMAGES", 2)
    monkeypatch.setattr(generators, "LAPTOP", Training(epochs=1, batch=2, width=2, blocks=1))
    monkeypatch.setattr(places, "store", lambda: tmp_path)


def test_generators_are_trained_once_for_all_k(setup, quick, monkeypatch):
    first = [paper.config(setup, name, ("", 3)).hyper["generator"] for name in ("LPD", "GAMA")]
    monkeypatch.setattr(generators, "METHODS", dict.fromkeys(generators.METHODS, generators.METHODS["LPD"]))
    again = paper.config(setup, "LPD", ("", 10))
    assert fingerprint.digest(again.hyper["generator"]) == fingerprint.digest(first[0])
    assert set(again.hyper) == {"generator"}
    assert [generator.method for generator in first] == ["LPD-like", "GAMA-like"]


@pytest.mark.parametrize("artefact", TABLES)
def test_every_printed_method_becomes_a_trial_with_arguments_that_its_attack_knows(setup, quick, artefact):
    full = paper.Setup(setup.setting, paper.PAPER, setup.model, setup.data, setup.found)
    block = ("best" if artefact in ("table-03", "table-04", "table-05", "table-08") else "", 3)
    for method in tables.methods(artefact):
        for of in (setup, full):
            config = paper.config(of, method, block)
            assert set(config.hyper) <= set(inspect.signature(config.attack).parameters), method
            assert config.method == method


def test_the_paper_profile_changes_nothing_but_what_the_victim_asks_for(setup):
    full = paper.Setup(setup.setting, paper.PAPER, setup.model, setup.data, setup.found)
    assert paper.config(full, "MASW", ("", 3)).hyper == {
        "radius": pytest.approx(1.0667, abs=1e-4),
        "max_iterations": 300,
    }
    assert paper.config(full, "TkML", ("best", 3)).hyper == {"radius": 0.9, "max_iterations": 300}
    comparison = {"bound": 0.9, "norm": "l2", "loss": "labels"}
    signs = comparison | {"direction": "sign"}
    assert paper.config(full, "FGSM", ("best", 3)).hyper == signs | {"step": 0.015}
    assert paper.config(full, "PGD", ("best", 3)).hyper == signs | {"step": 0.005, "max_iterations": 300}
    assert paper.config(full, "MI-FGSM", ("best", 3)).hyper == comparison | {"step": 0.015, "max_iterations": 40}
    assert paper.config(full, "kFool", ("", 3)).hyper == RELEASED | {"max_iterations": 300}
    assert paper.config(setup, "TkML", ("best", 3), stop_on_success=False).hyper["stop_on_success"] is False
    assert paper.config(setup, "TkML", ("", 3), shown="ours").method == "ours"


def test_rows_carry_their_block_and_lines_the_measures(setup):
    rows = paper.table_rows(setup, ["FGSM", "MASW"], paper.blocks(["", "worst"], [3, 10]), store=False, progress=False)
    assert len(rows) == 2 * 2 * 2 * 4
    assert rows["k"].tolist() == [3] * 8 + [10] * 8 + [3] * 8 + [10] * 8
    assert rows["case"].tolist() == [""] * 16 + ["worst"] * 16
    assert set(rows["dataset"]) == {"VOC 2012"}
    assert (rows["l2"] <= rows["case"].map({"": 5 * 64 / 300, "worst": 0.9}) + 1e-5).all()
    assert torch.allclose(torch.tensor(rows["pert"]), torch.tensor(100 * 510 * rows["l2"] / 64**2))
    lines = paper.summarise(rows)
    assert len(lines) == 8
    assert (lines["asr"] <= lines["sasr"] + 1e-9).all()
    first = rows[(rows["method"] == "FGSM") & (rows["k"] == 3) & (rows["case"] == "")]
    line = lines.iloc[0]
    assert line["lfr"] == pytest.approx(100 * first["lfr"].mean())
    assert line["pert_all"] == pytest.approx(first["pert"].mean())
    assert (line["images"], line["passes"]) == (4, first["passes"].mean())


def test_what_a_laptop_has_no_time_for_is_left_out(setup, monkeypatch):
    methods, block = ["MLA-LP", "FGSM"], [("", 3)]
    monkeypatch.setitem(paper._FEW_IMAGES, "MLA-LP", 1)
    monkeypatch.setitem(paper._FEW, "MLA-LP", 1)
    rows = paper.table_rows(setup, methods, block, store=False, progress=False)
    assert rows["method"].tolist() == ["FGSM"] * 4 + ["MLA-LP"]
    assert rows["image"].iloc[-1] == setup.indices[0]
    assert paper.reduced([setup], methods) == "VOC 2012: 4 of 1000 images, T = 6 of 300; MLA-LP T = 1 on 1 images"
    monkeypatch.setitem(paper._EASIEST_ONLY, "FGSM", paper.SMALL)
    rows = paper.table_rows(setup, ["FGSM"], paper.blocks(["best", "worst"], [3]), store=False, progress=False)
    assert rows["case"].tolist() == ["best"] * 4


def test_rivals_get_the_settings_of_the_comparison(setup):
    deepfool, lp = (paper.config(setup, name, ("", 3)).hyper for name in ("ML-DeepFool", "MLA-LP"))
    assert (deepfool["scores"], deepfool["rows"], deepfool["margin"], deepfool["stop_on_success"]) == (
        "probability",
        "labels",
        0,
        True,
    )
    assert lp == {"max_iterations": 5, "rest": "kept"}


def test_sizes_and_captions(setup):
    assert paper.size(setup.setting) == paper.Size(12, 100)
    with pytest.raises(ValueError, match="images is -1"):
        paper.size(setup.setting, images=-1)
    assert paper.reduced([setup]) == "VOC 2012: 4 of 1000 images, T = 6 of 300"
    assert "pictograms20-resnet for VOC 2012 and Inception-v3" in paper.summary([setup])
    with pytest.raises(ValueError, match="no paper profile yet"):
        paper.settings(paper.LARGE, "paper")
    with pytest.raises(ValueError, match="dataset"):
        paper.settings(["VOC 2007"])
    with pytest.raises(ValueError, match="method"):
        paper.config(setup, "TkLM", ("", 3))
