"""Table 1's rows become trials, pairs have other classes as targets, and k is chosen by each of its rules."""

import inspect
import tarfile

import pandas as pd
import pytest
import torch

from companion import datasets
from companion.papers.sapf import experiments as paper
from companion.report import reported
from tests.datasets import layouts


@pytest.fixture(scope="module")
def scene():
    return paper.scene(paper.panel("ImageNet", "laptop"), 2, 3)


def test_every_printed_method_becomes_a_trial_with_arguments_that_its_attack_knows(scene):
    for budget in ("laptop", "published"):
        trials = paper.references(budget, 50) + paper.bounded(budget, 50) + paper.selections(budget, 50)
        assert {t.method for t in trials} >= set(reported("sapf/table-01")["method"])
        for trial in trials:
            known = inspect.signature(trial.attack).parameters
            assert set(trial.hyper) | set(trial.per_image) <= set(known), trial.method
    assert paper.trial("SAPF", 7, "published").hyper == {"k": 7, "initial_weight": 1e-3}


def test_a_k_for_each_pair_follows_its_pair():
    k = torch.tensor([4, 9])
    assert paper.trial("SAPF", k, "laptop").per_image["k"] is k
    assert "k" not in paper.trial("SAPF", k, "laptop").hyper
    assert "k" not in paper.trial("StrAttack", k, "laptop").hyper


def test_pairs_are_images_with_other_classes(scene):
    assert len(scene.goal) == len(scene.chosen) == 6
    assert scene.entries == 3 * 48 * 48
    assert (scene.goal.target != scene.chosen.targets).all()
    assert len(set(scene.chosen.indices)) == 2
    assert scene.model(scene.chosen.images).argmax(dim=1).tolist() == scene.chosen.targets.tolist()
    more = paper.scene(scene.panel, 3, 3)
    assert more.chosen.indices[:6] == scene.chosen.indices
    assert torch.equal(more.goal.target[:6], scene.goal.target)
    assert scene[[1, 4]].names() == [scene.names()[1], scene.names()[4]]


def test_k_by_share_number_or_reference(scene):
    rows = pd.DataFrame({
        "method": [paper.END] * 6 + ["StrAttack"] * 6,
        "reached": [True, True, False, True, True, False] * 2,
        "l0": [10, 20, 999, 30, 40, 999, 100, 200, 999, 1, 400, 999],
    })  # fmt: skip
    assert paper.choose_k("0.2", scene) == 1382
    assert paper.choose_k("600", scene) == 600
    assert paper.choose_k("cw", scene, rows) == 25
    matched = paper.choose_k("match", scene, rows)
    assert matched.tolist() == [100, 200, 1382, 3, 400, 1382]  # failures get a fifth, and a pixel is the least
    with pytest.raises(ValueError, match="give a share below 1, a number of entries, 'cw' or 'match'"):
        paper.choose_k("mach", scene, rows)
    with pytest.raises(ValueError, match="C&W-l0 reached no target"):
        paper.choose_k("cw", scene, rows.assign(reached=False))


def test_profiles_and_sizes():
    assert [(p.dataset, p.victim) for p in paper.panels("laptop")] == [
        ("CIFAR-10", "pictograms10-onehot"),
        ("ImageNet", "pictograms238-onehot"),
    ]
    assert [p.data for p in paper.panels("paper")] == ["cifar10"]
    (jpeg,) = paper.panels("paper", "cifar10-jpeg")
    assert paper.size(jpeg, images=20, budget="laptop") == paper.Size(20, 9, "laptop")
    assert paper.reduced({jpeg: paper.Size(20, 9, "laptop")}) == "CIFAR-10: 20 of 1000 images, fewer steps"
    assert paper.reduced({jpeg: paper.Size(1000, 9, "published")}) == ""
    with pytest.raises(ValueError, match="no ImageNet in the paper profile yet"):
        paper.panel("ImageNet", "paper")
    with pytest.raises(ValueError, match="images is -1"):
        paper.size(jpeg, images=-1)
    with pytest.raises(ValueError, match="choose one of 'pictograms10'"):
        paper.panels("laptop", "imagenet")


def test_all_levels_are_attacked_together_and_named(scene, monkeypatch):
    seen = {}

    def grid(trials, model, images, goal, ids, **options):
        seen.update(k=trials[0].per_image["k"].tolist(), goal=goal.target.tolist(), trials=len(trials))
        columns = {"image": ids * len(trials), "method": [t.method for t in trials for _ in ids]}
        return pd.DataFrame(columns)

    monkeypatch.setattr(paper.experiment, "grid", grid)
    rows = paper.levels(scene[[0, 4]], [0.1, 0.5], ["literal", "magnitude"], "laptop")
    assert seen["k"] == [691, 691, 3456, 3456]
    assert seen["goal"] == scene.goal.target[[0, 4, 0, 4]].tolist()
    assert rows["share"].tolist() == [0.1, 0.1, 0.5, 0.5] * 2
    assert rows["selection"].tolist() == ["literal"] * 4 + ["magnitude"] * 4
    own = [scene.data.labels[int(scene.goal.target[i])] for i in (0, 4)]
    assert rows["target"].tolist() == own * 4


def test_captions_give_the_settings():
    assert paper.settings("laptop") == "S = 3, M = 1, T = 200"
    assert paper.settings("published") == "S = 6, M = 1, T = 2000"
    defaults = inspect.signature(paper.attacks.sapf).parameters
    published = [defaults[name].default for name in ("search_steps", "rounds", "inner_iterations")]
    assert published == [6, 1, 2000]


if layouts.SHARED.is_dir():  # small real data that may lie beside the checkout

    def test_the_cifar10_half_runs_on_the_official_layout(tmp_path, monkeypatch):
        with tarfile.open(layouts.SHARED / "cifar10-exact-160.tar.xz") as tar:
            tar.extractall(tmp_path, filter="data")
        (tmp_path / "cifar10-exact-160" / "cifar-10-batches-py").rename(tmp_path / "cifar-10-batches-py")
        layouts.accept_cifar10(monkeypatch, tmp_path / "cifar-10-batches-py")
        monkeypatch.setenv("DATA_ROOT", str(tmp_path))
        # The same network, trained on the same images as JPEG files; the classes have the same order.
        load = paper.victims.load
        monkeypatch.setattr(paper.victims, "load", lambda name, device: load("cifar10-jpeg-onehot", device))
        (panel,) = paper.panels("paper")
        scene = paper.scene(panel, 3, 9)
        assert len(scene.goal) == 27
        images, classes = datasets.stack(scene.data, range(160))
        assert (scene.model(images).argmax(dim=1) == classes).float().mean() > 0.7
        k = paper.choose_k("0.2", scene)
        rows = paper.run(scene[[0, 9]], [paper.trial("SAPF", k, "laptop", selection="magnitude")], store=False)
        assert rows["reached"].all()
        assert (rows["l0"] <= k).all()
        assert set(rows["target"]) <= set(layouts.CIFAR_CLASSES)
