"""Images by rule, their labels and probabilities under universal perturbations."""

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_07, universals
from flipbook.goals import TopKExcludes

METHODS = ["TkML", "MASW"]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    (setting,) = paper.settings(["COCO 2014"])
    return universals.setup(setting, universals.size(training=12, test=30, passes=2))


def test_chosen_are_the_first_that_most_methods_fool(setup):
    images, present = setup.single.images, setup.single.present
    places = figure_07.fooled_by_all(setup, METHODS, 3, 0, 6, progress=False)
    assert figure_07.fooled_by_all(setup, METHODS, 3, 2, 4, progress=False) == places[2:]
    assert (present[places].sum(dim=1) >= 2).all()
    with torch.no_grad():
        logits = [setup.single.model(universals.learn(setup, name, 3).apply(images)) for name in METHODS]
    fooled = sum(TopKExcludes(present, 3).reached(each).int() for each in logits)
    counts = [int(fooled[i]) for i in places]
    assert counts == sorted(counts, reverse=True)
    earlier = [i for i in range(places[0]) if fooled[i] == counts[0] and present[i].sum() >= 2]
    assert not earlier


def test_probabilities_are_those_of_the_attacked_images(setup):
    rows = figure_07.confidences(setup, METHODS, 3, progress=False)
    own = rows[rows["method"] == "MASW"]
    with torch.no_grad():
        p = setup.single.model(universals.learn(setup, "MASW", 3).apply(setup.single.images)).sigmoid()
    mine = [float(row[mask].mean()) for row, mask in zip(p, setup.single.present, strict=True)]
    assert own["true"].tolist() == pytest.approx(mine, abs=1e-6)
    assert own["first"].tolist() == pytest.approx(p.topk(3).values.mean(1).tolist(), abs=1e-6)


def test_labels_are_in_order_and_true_ones_have_a_star(setup):
    names, logits = setup.single.data.labels, torch.full((80,), -9.0)
    logits[[5, 2]] = torch.tensor([3.0, 0.0])
    present = torch.zeros(80, dtype=torch.bool)
    present[2] = True
    assert figure_07.first_labels(setup, logits, present, 2) == f"{names[5]} 0.95\n{names[2]} * 0.50"
