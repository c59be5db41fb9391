"""Table 1's rows become configs, pairs have other classes as targets, and k is chosen by each of its rules."""

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
def setup():
    return paper.setup(paper.setting("ImageNet", "laptop"), 2, 3)


def test_every_printed_method_becomes_a_trial_with_arguments_that_its_attack_knows(setup):
    for budget in ("laptop", "published"):
        configs = paper.references(budget, 50) + paper.bounded(budget, 50) + paper.selections(budget, 50)
        assert {t.method for t in configs} >= set(reported("sapf/table-01")["method"])
        for config in configs:
            known = inspect.signature(config.attack).parameters
            assert set(config.hyper) | set(config.per_image) <= set(known), config.method
    assert paper.config("SAPF", 7, "published").hyper == {"k": 7, "initial_weight": 1e-3}


def test_a_k_for_each_pair_follows_its_pair():
    k = torch.tensor([4, 9])
    assert paper.config("SAPF", k, "laptop").per_image["k"] is k
    assert "k" not in paper.config("SAPF", k, "laptop").hyper
    assert "k" not in paper.config("StrAttack", k, "laptop").hyper


def test_pairs_are_images_with_other_classes(setup):
    assert len(setup.goal) == len(setup.chosen) == 6
    assert setup.entries == 3 * 48 * 48
    assert (setup.goal.target != setup.chosen.targets).all()
    assert len(set(setup.chosen.indices)) == 2
    assert setup.model(setup.chosen.images).argmax(dim=1).tolist() == setup.chosen.targets.tolist()
    more = paper.setup(setup.setting, 3, 3)
    assert more.chosen.indices[:6] == setup.chosen.indices
    assert torch.equal(more.goal.target[:6], setup.goal.target)
    assert setup[[1, 4]].names() == [setup.names()[1], setup.names()[4]]


def test_k_by_share_number_or_reference(setup):
    rows = pd.DataFrame({
        "method": [paper.END] * 6 + ["StrAttack"] * 6,
        "reached": [True, True, False, True, True, False] * 2,
        "l0": [10, 20, 999, 30, 40, 999, 100, 200, 999, 1, 400, 999],
    })  # fmt: skip
    assert paper.choose_k("0.2", setup) == 1382
    assert paper.choose_k("600", setup) == 600
    assert paper.choose_k("cw", setup, rows) == 25
    matched = paper.choose_k("match", setup, rows)
    assert matched.tolist() == [100, 200, 1382, 3, 400, 1382]  # failures get a fifth, and a pixel is the least
    with pytest.raises(ValueError, match="give a share below 1, a number of entries, 'cw' or 'match'"):
        paper.choose_k("mach", setup, rows)
    with pytest.raises(ValueError, match="C&W-l0 reached no target"):
        paper.choose_k("cw", setup, rows.assign(reached=False))


def test_profiles_and_sizes():
    assert [(p.dataset, p.victim) for p in paper.settings("laptop")] == [
        ("CIFAR-10", "pictograms10-onehot"),
        ("ImageNet", "pictograms238-onehot"),
    ]
    assert [p.data for p in paper.settings("paper")] == ["cifar10"]
    (jpeg,) = paper.settings("paper", "cifar10-jpeg")
    assert paper.size(jpeg, images=20, budget="laptop") == paper.Size(20, 9, "laptop")
    assert paper.reduced({jpeg: paper.Size(20, 9, "laptop")}) == "CIFAR-10: 20 of 1000 images, fewer steps"
    assert paper.reduced({jpeg: paper.Size(1000, 9, "published")}) == ""
    with pytest.raises(ValueError, match="no ImageNet in the paper profile yet"):
        paper.setting("ImageNet", "paper")
    with pytest.raises(ValueError, match="images is -1"):
        paper.size(jpeg, images=-1)
    with pytest.raises(ValueError, match="choose one of 'pictograms10'"):
        paper.settings("laptop", "imagenet")


def test_all_levels_are_attacked_together_and_named(setup, monkeypatch):
    seen = {}

    def grid(configs, model, images, goal, ids, **options):
        seen.update(k=configs[0].per_image["k"].tolist(), goal=goal.target.tolist(), configs=len(configs))
        columns = {"image": ids * len(configs), "method": [t.method for t in configs for _ in ids]}
        return pd.DataFrame(columns)

    monkeypatch.setattr(paper.evaluation, "grid", grid)
    rows = paper.levels(setup[[0, 4]], [0.1, 0.5], ["literal", "magnitude"], "laptop")
    assert seen["k"] == [691, 691, 3456, 3456]
    assert seen["goal"] == setup.goal.target[[0, 4, 0, 4]].tolist()
    assert rows["share"].tolist() == [0.1, 0.1, 0.5, 0.5] * 2
    assert rows["selection"].tolist() == ["literal"] * 4 + ["magnitude"] * 4
    own = [setup.data.labels[int(setup.goal.target[i])] for i in (0, 4)]
    assert rows["target"].tolist() == own * 4


def test_captions_give_the_settings():
    assert paper.budget_settings("laptop") == "S = 3, M = 1, T = 200"
    assert paper.budget_settings("published") == "S = 6, M = 1, T = 2000"
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
        (setting,) = paper.settings("paper")
        setup = paper.setup(setting, 3, 9)
        assert len(setup.goal) == 27
        images, classes = datasets.stack(setup.data, range(160))
        assert (setup.model(images).argmax(dim=1) == classes).float().mean() > 0.7
        k = paper.choose_k("0.2", setup)
        rows = paper.run(setup[[0, 9]], [paper.config("SAPF", k, "laptop", selection="magnitude")], store=False)
        assert rows["reached"].all()
        assert (rows["l0"] <= k).all()
        assert set(rows["target"]) <= set(layouts.CIFAR_CLASSES)
