"""Victims whose training starts from the backbone's trunk: recipes, the start, the label graph, and what is stored."""

import shutil

import pytest
import torch

from companion import datasets, paths, victims
from companion.victims import catalogue, graphs, loading, table
from companion.victims.ml_gcn import adjacency
from companion.victims.quality import predict, quality
from companion.victims.training import best_threshold
from flipbook.graphs import consistency

HEADS = {"asl": "resnet", "decoder": "ml-decoder", "gcn": "ml-gcn"}
NAMES = [f"{dataset}-{head}" for dataset in ("pictograms20", "pictograms81", "pictograms268") for head in HEADS]
NAMES.append("crowds268-asl")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the backbone only."""
    for name in (table.TABLE, f"{catalogue.BACKBONE}.safetensors"):
        shutil.copy(paths.VICTIMS / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_recipe(name):
    dataset, head = name.split("-")
    recipe = catalogue.recipe(name)
    assert recipe.architecture == HEADS[head]
    assert (recipe.dataset, recipe.metric, recipe.pretrained) == (dataset, "mAP", True)
    assert recipe.loss == ("bce" if head == "gcn" else "asymmetric")
    assert recipe.outputs == {"pictograms20": 28, "pictograms81": 81, "pictograms268": 268, "crowds268": 268}[dataset]


def test_exactly_these_start_from_the_backbone():
    assert sorted(name for name in catalogue.names() if catalogue.recipe(name).pretrained) == sorted(NAMES)
    assert catalogue.names()[0] == catalogue.BACKBONE


@pytest.mark.parametrize("name", ["pictograms20-asl", "pictograms81-decoder", "pictograms81-gcn"])
def test_training_starts_at_the_backbones_trunk_and_all_of_it_learns(name, folder):
    net = loading.pretrained(catalogue.recipe(name), folder)
    backbone, images = loading.load(catalogue.BACKBONE), torch.rand(2, 3, 64, 64)
    for mine, theirs in zip(net.maps(images), backbone.maps(images), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)  # the backbone's channels lie in another order
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(module.training for module in net.modules())


def test_trained_label_graph_is_that_of_the_training_targets(folder):
    history = victims.train("pictograms20-gcn", folder=folder, epochs=1, images=320, progress=False)
    assert len(history) == 1
    victim, net = victims.describe("pictograms20-gcn", folder), victims.load("pictograms20-gcn", folder=folder)
    assert (victim.outputs, victim.source) == (28, "trained here, on from pictograms268-resnet")
    seen = loading.targets("pictograms20-gcn", datasets.load("pictograms20", "train").targets[:320])
    torch.testing.assert_close(net.head.adjacency, adjacency(seen), atol=1e-3, rtol=0)
    torch.testing.assert_close(net.head.folded, net.head.classifiers())


def test_victim_without_the_backbone_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="'pictograms268-resnet' has not been trained yet"):
        victims.train("pictograms20-asl", folder=tmp_path, epochs=1, images=64, progress=False)


def test_best_threshold_by_hand():
    logits = torch.tensor([[3.0, -1.0], [0.5, 2.0], [1.0, -2.0]])
    targets = torch.tensor([[1, 0], [0, 1], [1, 0]], dtype=torch.uint8)
    assert best_threshold(logits, targets) == pytest.approx(0.75)  # between the last right one and the first wrong one
    targets[2, 0] = 0  # 1.0 is wrong now: the two above it are all
    assert best_threshold(logits, targets) == pytest.approx(1.5)


def test_best_threshold_has_the_best_f1():
    torch.manual_seed(0)
    targets = (torch.rand(200, 7) < 0.2).long()
    logits = 2 * targets + torch.randn(200, 7)
    found, scores = best_threshold(logits, targets), {}
    for threshold in [found, *torch.linspace(-2, 4, 200).tolist()]:
        on = logits > threshold
        scores[threshold] = (2 * (on & targets.bool()).sum() / (on.sum() + targets.sum())).item()
    assert scores[found] == max(scores.values())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_victim_knows_its_labels_and_their_hierarchy(name):
    """Threshold 0 is the one that attacks use; papers keep images whose predictions respect the graph."""
    victim = victims.describe(name)
    images, given = datasets.tensors(datasets.load(victim.dataset, split="test"), range(300), progress=False)
    logits, targets = predict(victims.load(name), images), loading.targets(name, given)
    assert quality(logits, targets) == pytest.approx(victim.quality, abs=0.04)
    graph, on = graphs.load(victim.dataset), logits > 0
    right = 2 * (on & targets.bool()).sum() / (on.sum() + targets.sum())
    assert right > 0.85  # F1 over all labels
    least = 0.35 if victim.dataset == "crowds268" else 0.65  # twenty labels on an image: more of them to err in
    assert consistency.globally_consistent(graph, on).float().mean() > least
