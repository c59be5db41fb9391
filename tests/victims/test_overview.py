"""What the victims' notebook shows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

from companion import victims
from companion.victims import overview, table
from companion.victims.quality import quality


def test_map_is_the_mean_over_labels_that_occur():
    torch.manual_seed(0)
    logits, targets = torch.randn(50, 6), (torch.rand(50, 6) < 0.3).long()
    targets[:, 2] = 0
    seen = [0, 1, 3, 4, 5]
    expected = np.mean([average_precision_score(targets[:, j], logits[:, j]) for j in seen])
    assert quality(logits, targets) == pytest.approx(expected, abs=1e-6)


def test_accuracy_goes_through_the_codebook():
    code = victims.codebook("digits-ecoc")
    classes = torch.tensor([3, 1, 4, 1])
    logits = code[classes].clone()
    logits[0] = code[5]
    assert quality(logits, classes, code) == 0.75
    assert quality(torch.eye(10)[classes], classes) == 1


def test_decisions_name_what_is_right_missed_and_wrong():
    def net(images):
        return images.flatten(1) * 2 - 1

    net.parameters = lambda: iter([torch.zeros(1)])
    images = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 0]]).reshape(2, 1, 2, 2)
    labels = ["sun", "moon", "star", "rook"]
    assert overview.decisions(net, images, torch.tensor([[1, 0, 1, 0], [0, 0, 1, 0]]), labels) == [
        (["sun"], ["star"], ["moon"]),
        (["star"], [], []),
    ]
    assert overview.decisions(net, images, torch.tensor([0, 3]), labels) == [
        (["sun"], [], []),
        ([], ["rook"], ["star"]),
    ]


def test_chosen_names():
    assert overview.chosen("all") == [name for name in victims.names() if name in table.read()]
    assert overview.chosen("digits-ecoc signs43-onehot") == ["digits-ecoc", "signs43-onehot"]
    with pytest.raises(KeyError, match="did you mean 'digits-ecoc'"):
        overview.chosen("digit-ecoc")
    with pytest.raises(ValueError, match="no victims are named"):
        overview.chosen(" ")


def test_all_are_those_trained_and_for_a_training_those_whose_data_are_here(monkeypatch):
    rows = table.read()
    untrained = {name: rows[name] for name in rows if name not in ("digits-ecoc", "mnist-ecoc")}
    monkeypatch.setattr(table, "read", lambda folder=None: untrained)
    monkeypatch.setattr(overview, "has_data", lambda name: name != "mnist-ecoc")
    assert not {"digits-ecoc", "mnist-ecoc"} & set(overview.chosen("all"))
    assert "digits-ecoc" in overview.chosen("all", retrain=True)
    assert "mnist-ecoc" not in overview.chosen("all", retrain=True)


def test_real_data_that_is_not_here_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    assert overview.has_data("digits-ecoc")
    assert not overview.has_data("mnist-ecoc")
    table = overview.summary(["mnist-ecoc", "digits-ecoc"], images=100)
    assert table["measured again"].isna().tolist() == [True, False]


def test_pictures_are_drawn():
    history = overview.histories(["digits-ecoc", "pictograms20-resnet"])
    assert set(history.victim) == {"digits-ecoc", "pictograms20-resnet"}
    assert isinstance(history, pd.DataFrame)
    for figure in (
        overview.curves(history),
        overview.predictions("pictograms20-resnet", 2),
        overview.predictions("digits-ecoc", 2),
        overview.codewords("digits-ecoc", 3),
    ):
        assert len(figure.axes) >= 2
        plt.close(figure)
