"""Scenes, the shared store of what was trained, and what is counted, on the smallest pictogram victim."""

import pandas as pd
import pytest
import torch

from flipbook import universal, victims
from flipbook.papers import cmlu as paper
from flipbook.report import reported
from flipbook.victims.loading import labels

SMALL = paper.Size(labels=2, sets=2, images=4, epochs=1, batch=4, training=500, test=500, in_training=1, in_test=1)
EASY = paper.panels("figure-01")[0]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def scene():
    return paper.scene(EASY, SMALL)


@pytest.mark.parametrize("artefact", [f"table-0{n}" for n in range(1, 5)] + [f"figure-0{n}" for n in range(1, 6)])
def test_panels_have_victims_of_their_data(artefact):
    for panel in paper.panels(artefact):
        assert victims.describe(panel.victim).dataset == panel.data
        assert panel.epsilon in (0.05, 0.1)


def test_printed_panels_are_all_there():
    printed = reported("cmlu/table-01")
    ours = {(panel.dataset, panel.model) for panel in paper.panels("table-01")}
    assert set(zip(printed["dataset"], printed["model"], strict=True)) <= ours
    assert set(printed["method"]) == set(paper.METHODS)


def test_transfer_panels_come_in_pairs_with_the_same_labels():
    panels = paper.panels("table-04")
    for first, second in zip(panels[::2], panels[1::2], strict=True):
        assert first.dataset == second.dataset
        assert labels(first.victim) == labels(second.victim)


def test_target_sets_are_predicted_on_enough_images(scene):
    assert scene.omegas[1] == tuple((label,) for label in scene.labels)
    for of, omegas in scene.omegas.items():
        for omega in omegas:
            assert len(omega) == of
            assert set(omega) <= set(scene.labels)
            assert len(scene.test.containing(omega)) >= SMALL.in_test
    assert scene.all_omegas([1]) == list(scene.omegas[1])


def test_the_budget_follows_the_size_and_the_panel(scene):
    training = scene.training
    assert (training.epsilon, training.step) == (0.05, 0.01)
    assert (training.epochs, training.images, training.batch) == (1, 4, 4)


def test_what_is_trained_once_is_read_afterwards(scene, own_store):
    first = paper.learn(scene, "CMLU_beta")
    before = scene.train.net.forwards
    again = paper.learn(scene, "CMLU_beta")
    assert scene.train.net.forwards == before
    assert torch.equal(first.vectors, again.vectors)
    assert len(list(own_store.rglob("*.safetensors"))) == 1


def test_other_settings_are_trained_again(scene, own_store):
    first, other = paper.learn(scene, "CMLU_beta"), paper.learn(scene, "CMLU_beta", kappa=0.0)
    paper.learn(scene, "CMLU_beta", options={"penalty": 0.0})
    assert len(list(own_store.rglob("*.safetensors"))) == 3
    assert (first.record["kappa"], other.record["kappa"]) == (20.0, 0.0)
    assert paper.learn(scene, "CMLU_beta", epsilon=0.1).record["step"] == pytest.approx(0.02)


def test_a_damaged_file_is_trained_again(scene, own_store):
    first = paper.learn(scene, "Or-S")
    (file,) = own_store.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-8])
    assert torch.equal(paper.learn(scene, "Or-S").vectors, first.vectors)


def test_or_s_is_the_oracle_of_single_labels(scene, own_store):
    assert torch.equal(paper.learn(scene, "Or-S").vectors, paper.learn(scene, "Oracle", 1).vectors)
    assert len(list(own_store.rglob("*.safetensors"))) == 1


def test_passes_grow_with_sets_for_the_oracle_and_with_labels_for_cmlu(scene):
    rows = paper.rates(scene, ["Oracle", "CMLU_beta", "CMLU_alpha"])
    means = paper.means(rows)
    once = 2 * SMALL.epochs * SMALL.images  # a forward and a backward pass of each image
    oracle = means[means["method"] == "Oracle"]
    assert oracle["passes"].tolist() == [once * len(omegas) for omegas in scene.omegas.values()]
    assert set(means[means["method"] == "CMLU_beta"]["passes"]) == {once * len(scene.labels)}
    assert means.groupby("method")["per_image"].first().to_dict() == {"Oracle": 2, "CMLU_beta": 2, "CMLU_alpha": 4}
    served = paper.cumulated(rows)
    assert served[served["method"] == "Oracle"]["passes"].tolist() == oracle["passes"].cumsum().tolist()
    assert set(served[served["method"] == "CMLU_beta"]["passes"]) == {once * len(scene.labels)}


def test_rates_are_those_of_evaluate(scene):
    rows = paper.rates(scene, ["CMLU_beta"])
    table = universal.evaluate(paper.learn(scene, "CMLU_beta"), scene.test, scene.all_omegas(), progress=False)
    assert rows["hidden"].tolist() == table["hidden"].tolist()
    assert set(rows["dataset"]) == {"VOC 2012"}


def test_rates_are_counted_once_for_each_vector_and_set(scene):
    first = paper.rates(scene, ["Oracle"])
    before = scene.test.net.forwards
    pd.testing.assert_frame_equal(paper.rates(scene, ["Oracle"]), first)
    singles = paper.rates(scene, ["Or-S"])  # sums of one vector are the Oracle's
    assert singles[singles["size"] == 1]["hidden"].tolist() == first[first["size"] == 1]["hidden"].tolist()
    sums = scene.test.net.forwards - before
    assert sums == singles[singles["size"] > 1]["images"].sum()


def test_passes_of_an_epoch_against_the_number_of_labels(scene):
    growth = paper.growth(scene, images=2)
    beta, oracle = (growth[growth["method"] == method] for method in ("CMLU_beta", "Oracle"))
    assert beta["passes"].tolist() == [2, 4]
    both = len(scene.train.containing(scene.labels)) > 0
    assert oracle["vectors"].tolist() == [1, 2 + both]
    assert oracle["passes"].tolist() == [2, 2 * (2 + both)]


def test_occurrences_count_images_and_the_most_frequent_set():
    class Few:
        present = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)

    counts = paper.occurrences(Few, [1, 2, 3, 4])
    assert counts["images"].tolist() == [3, 3, 1, 0]
    assert counts["most"].tolist() == [3, 2, 1, 0]


def test_the_sum_off_counts_agree_with_rates(scene):
    rows = paper.switched_off(scene, ["CMLU_beta"], scene.omegas[2])
    table = universal.evaluate(paper.learn(scene, "CMLU_beta"), scene.test, scene.omegas[2], progress=False)
    total = rows[rows["perturbation"] == "sum"]
    assert total["both"].tolist() == pytest.approx(table["FR"].tolist())
    assert (total["both"] <= total[["off 1", "off 2"]].min(axis=1) + 1e-9).all()


def test_coordinates_of_what_lies_in_the_plane(scene):
    basis = paper.learn(scene, "CMLU_beta")
    u, v = basis.vectors
    pair = tuple(sorted(basis.labels))
    first, second = (u, v) if pair == basis.labels else (v, u)
    w = 0.5 * first / first.abs().max() - 2 * second / second.abs().max()
    assert paper.coordinates(basis, w, pair) == pytest.approx((0.5, -2, 1), abs=1e-5)


def test_printed_rows_in_order():
    printed = paper.in_order(reported("cmlu/table-01"), ["dataset", "model"])
    assert printed["method"][:7].tolist() == list(paper.METHODS)
    assert printed["target_set_size"].tolist()[::7] == ["1", "3", "5"] * 4
    assert paper.tabular(printed)["|Ω|"].tolist() == printed["target_set_size"].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: paper.panels("table-05"), "did you mean 'table-0.'"),
        (lambda _: paper.panels("table-01", "paper"), "no paper profile yet"),
        (lambda _: paper.panels("table-01", "cluster"), "choose 'laptop' or 'paper'"),
        (lambda _: paper.size(images=-1), "images is -1: give a positive number, or 0"),
        (lambda scene: paper.learn(scene, "CMLU"), "method is 'CMLU': did you mean"),
    ],
)
def test_errors(call, message, scene):
    with pytest.raises(ValueError, match=message) as error:
        call(scene)
    assert "\n" not in str(error.value)
