"""Scenes, the shared store of what was trained, and what is counted, on the smallest pictogram victim."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from companion import victims
from companion.papers.cmlu import experiments as paper
from companion.papers.cmlu import figure_05, pictures, tables
from companion.report import reported
from companion.victims.loading import labels
from flipbook import universal
from flipbook.universal.plane import Plane

SMALL = paper.Size(
    labels=2, sets=2, images=4, epochs=1, batch=4, training=500, test=500, in_training=1, in_test=1, attacked=500
)
EASY = paper.settings("figure-01")[0]


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def setup():
    return paper.setup(EASY, SMALL)


@pytest.mark.parametrize("artefact", [f"table-0{n}" for n in range(1, 5)] + [f"figure-0{n}" for n in range(1, 6)])
def test_panels_have_victims_of_their_data(artefact):
    for setting in paper.settings(artefact):
        assert victims.describe(setting.victim).dataset == setting.data
        assert setting.epsilon in (0.05, 0.1, 0.2)


def test_labels_that_must_stay_weigh_in_crowds_what_they_do_in_the_paper():
    (setting,) = paper.settings("table-02")
    assert setting.kappa / len(labels(setting.victim)) == pytest.approx(20 / 9605, rel=0.15)


def test_printed_panels_are_all_there():
    printed = reported("cmlu/table-01")
    ours = {(setting.dataset, setting.model) for setting in paper.settings("table-01")}
    assert set(zip(printed["dataset"], printed["model"], strict=True)) <= ours
    assert set(printed["method"]) == set(paper.METHODS)


def test_transfer_panels_come_in_pairs_with_the_same_labels():
    settings = paper.settings("table-04")
    for first, second in zip(settings[::2], settings[1::2], strict=True):
        assert first.dataset == second.dataset
        assert labels(first.victim) == labels(second.victim)


def test_target_sets_are_predicted_on_enough_images(setup):
    assert setup.omegas[1] == tuple((label,) for label in setup.labels)
    for of, omegas in setup.omegas.items():
        for omega in omegas:
            assert len(omega) == of
            assert set(omega) <= set(setup.labels)
            assert len(setup.test.containing(omega)) >= SMALL.in_test
    assert setup.all_omegas([1]) == list(setup.omegas[1])


def test_the_budget_follows_the_size_and_the_panel(setup):
    training = setup.training
    assert (training.epsilon, training.step) == (0.05, 0.01)
    assert (training.epochs, training.images, training.batch) == (1, 4, 4)


def test_what_is_trained_once_is_read_afterwards(setup, own_store):
    first = paper.learn(setup, "CMLU_beta")
    before = setup.train.net.forwards
    again = paper.learn(setup, "CMLU_beta")
    assert setup.train.net.forwards == before
    assert torch.equal(first.vectors, again.vectors)
    assert len(list(own_store.rglob("*.safetensors"))) == 1


def test_other_settings_are_trained_again(setup, own_store):
    first, other = paper.learn(setup, "CMLU_beta"), paper.learn(setup, "CMLU_beta", kappa=0.0)
    paper.learn(setup, "CMLU_beta", options={"penalty": 0.0})
    assert len(list(own_store.rglob("*.safetensors"))) == 3
    assert (first.record["kappa"], other.record["kappa"]) == (20.0, 0.0)
    assert paper.learn(setup, "CMLU_beta", epsilon=0.1).record["step"] == pytest.approx(0.02)


def test_a_damaged_file_is_trained_again(setup, own_store):
    first = paper.learn(setup, "Or-S")
    (file,) = own_store.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-8])
    assert torch.equal(paper.learn(setup, "Or-S").vectors, first.vectors)


def test_or_s_is_the_oracle_of_single_labels(setup, own_store):
    assert torch.equal(paper.learn(setup, "Or-S").vectors, paper.learn(setup, "Oracle", 1).vectors)
    assert len(list(own_store.rglob("*.safetensors"))) == 1


def test_passes_grow_with_sets_for_the_oracle_and_with_labels_for_cmlu(setup):
    rows = paper.rates(setup, ["Oracle", "CMLU_beta", "CMLU_alpha"])
    means = tables.means(rows)
    once = 2 * SMALL.epochs * SMALL.images  # a forward and a backward pass of each image
    oracle = means[means["method"] == "Oracle"]
    assert oracle["passes"].tolist() == [once * len(omegas) for omegas in setup.omegas.values()]
    assert set(means[means["method"] == "CMLU_beta"]["passes"]) == {once * len(setup.labels)}
    assert means.groupby("method")["per_image"].first().to_dict() == {"Oracle": 2, "CMLU_beta": 2, "CMLU_alpha": 4}
    served = tables.cumulated(rows)
    assert served[served["method"] == "Oracle"]["passes"].tolist() == oracle["passes"].cumsum().tolist()
    assert set(served[served["method"] == "CMLU_beta"]["passes"]) == {once * len(setup.labels)}


def test_rates_are_those_of_evaluate(setup):
    rows = paper.rates(setup, ["CMLU_beta"])
    table = universal.evaluate(paper.learn(setup, "CMLU_beta"), setup.test, setup.all_omegas(), progress=False)
    assert rows["hidden"].tolist() == table["hidden"].tolist()
    assert set(rows["dataset"]) == {"VOC 2012"}


def test_rates_are_counted_once_for_each_vector_and_set(setup):
    first = paper.rates(setup, ["Oracle"])
    before = setup.test.net.forwards
    pd.testing.assert_frame_equal(paper.rates(setup, ["Oracle"]), first)
    singles = paper.rates(setup, ["Or-S"])  # sums of one vector are the Oracle's
    assert singles[singles["size"] == 1]["hidden"].tolist() == first[first["size"] == 1]["hidden"].tolist()
    sums = setup.test.net.forwards - before
    assert sums == singles[singles["size"] > 1]["images"].sum()


def test_passes_of_an_epoch_against_the_number_of_labels(setup):
    growth = tables.growth(setup, images=2)
    beta, oracle = (growth[growth["method"] == method] for method in ("CMLU_beta", "Oracle"))
    assert beta["passes"].tolist() == [2, 4]
    both = len(setup.train.containing(setup.labels)) > 0
    assert oracle["vectors"].tolist() == [1, 2 + both]
    assert oracle["passes"].tolist() == [2, 2 * (2 + both)]


def test_occurrences_count_images_and_the_most_frequent_set():
    class Few:
        present = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)

    counts = tables.occurrences(Few, [1, 2, 3, 4], range(4))
    assert counts["images"].tolist() == [3, 3, 1, 0]
    assert counts["most"].tolist() == [3, 2, 1, 0]


def test_occurrences_among_some_labels():
    class Few:
        present = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.bool)

    counts = tables.occurrences(Few, [1, 2], [3, 2])
    assert counts["images"].tolist() == [2, 0]
    assert counts["most"].tolist() == [1, 0]


def test_supply_counts_the_sets_that_may_be_drawn(setup):
    found = tables.supply(setup, [1, 2]).loc[EASY.victim]
    assert found.loc["sets with enough of both"].tolist() == [2, len(setup.omegas.get(2, ()))]
    assert found.loc["test images of one set, at most", 2] == len(setup.test.containing(setup.labels))
    assert found.loc["training images of one set, at most", 2] == len(setup.train.containing(setup.labels))


def test_the_panel_says_how_much_is_run_unless_it_is_asked():
    coco = paper.settings("figure-03")[2]
    assert (coco.dataset, coco.size.labels) == ("MS-COCO", 12)
    asked = paper.size(coco, labels=0, sets=3, images=0)
    assert asked == replace(coco.size, sets=3)
    few = paper.setup(EASY, replace(SMALL, labels=3))
    assert len(few.labels) == 3


def test_images_of_a_set_are_attacked_up_to_a_number(setup):
    some = replace(setup, size=replace(setup.size, attacked=2))
    rows, whole = (paper.rates(of, ["CMLU_beta"]) for of in (some, setup))
    assert set(rows["images"]) == {2}
    assert whole["images"].min() > 2


def test_clipped_sums_keep_single_labels_and_carry_their_own_name(setup):
    cut, whole = paper.clipped(setup), paper.rates(setup, paper.SUMS)
    assert set(cut["method"]) == {"Or-S, clip", "SGA, clip", "CMLU_beta, clip"}
    alone = [rows[rows["size"] == 1]["hidden"].tolist() for rows in (cut, whole)]
    assert alone[0] == alone[1]
    v = paper.learn(setup, "CMLU_beta").compose_all(setup.omegas[2], projection="clip")
    table = universal.evaluate(paper.learn(setup, "CMLU_beta"), setup.test, setup.omegas[2], progress=False)
    assert v.abs().max() <= EASY.epsilon
    assert len(cut[(cut["size"] == 2) & (cut["method"] == "CMLU_beta, clip")]) == len(table)


def test_leads_of_sums_scaled_and_cut():
    fr = {"Or-S": 10.0, "SGA": 20.0, "CMLU_beta": 50.0, "Or-S, clip": 40.0, "SGA, clip": 45.0, "CMLU_beta, clip": 55.0}
    lines = [{"dataset": "A", "model": "B", "size": of, "method": name, "fr": fr[name]} for name in fr for of in (1, 2)]
    (line,) = tables.leads(pd.DataFrame(lines)).to_dict("records")
    assert list(line.values()) == [40, 15, 30, 10]


def test_own_images_are_the_training_images(setup):
    rows = paper.own_images(setup)
    assert rows["images"].tolist() == [len(setup.train.containing(omega)) for omega in rows["omega"]]
    assert rows["omega"].tolist() == setup.all_omegas([of for of in setup.omegas if of > 1])


def test_reduced_says_each_data_set_and_only_the_options_of_the_methods(setup):
    other = replace(setup, labels=setup.labels[:1], setting=replace(EASY, dataset="MS-COCO"))
    text = tables.reduced([setup, other], ["Oracle", "SGA"])
    assert text.startswith("2 (VOC 2012) or 1 (MS-COCO) labels")
    assert "ε = 0.05 (paper: 0.05)" in text
    assert "inner_passes = 2 (default 4)" in text
    assert "NAG" not in text
    assert "CMLU-α with inner_steps = 1 (default 5)" in tables.reduced([setup])


def test_the_figure_of_many_targets_has_a_line_for_each_method_and_size(setup):
    means = tables.means(pd.concat([paper.rates(setup, ["Oracle", "Or-S"]), paper.clipped(setup)]))
    axes = pictures.many_targets(means, reported("cmlu/table-02"), setup).axes
    assert [len(axis.lines) for axis in axes[:2]] == [len(paper.METHODS), means["method"].nunique()]
    assert [label.get_text() for label in axes[3].get_xticklabels()] == ["1", "2", "3", "4", "5", "10", "15", "20"]
    cut = next(line for line in axes[1].lines if line.get_label() == "Or-S, clip")
    assert (cut.get_linestyle(), list(cut.get_xdata())) == ("--", [0, 1])


def test_one_colour_for_each_method():
    colours = tables.colours()
    assert set(colours) == set(paper.METHODS)
    assert len(set(colours.values())) == len(paper.METHODS)


def test_average_of_planes_is_the_plane_of_all_pairs():
    some = paper.setup(EASY, replace(SMALL, labels=3, sets=3))
    pairs = some.omegas[2]
    walks = figure_05.planes(some, "CMLU_beta", pairs, points=3, images=2)
    mean, ε = figure_05.average(walks), EASY.epsilon
    basis = paper.learn(some, "CMLU_beta")
    whole = universal.plane(basis, some.test, pairs, low=-0.4 * ε, high=2 * ε, points=3, images=2, progress=False)
    assert torch.allclose(mean.both, whole.both)
    assert torch.allclose(mean.ball, whole.ball)
    assert mean.images == whole.images


def test_in_the_ball_looks_at_the_points_inside():
    axis = torch.tensor([0.0, 1.0], dtype=torch.float64)
    both = torch.tensor([[0.0, 0.8], [0.2, 1.0]], dtype=torch.float64)
    angle = torch.arange(180) * 2 * torch.pi / 180
    ball = torch.stack([angle.cos(), angle.sin()], dim=1).double()  # of radius 1: (1, 1) is outside
    walk = Plane(axis, both, both, both, ball, 7)
    (line,) = figure_05.in_the_ball({(0, 1): walk}).to_dict("records")
    assert (line["best"], line["anywhere"], line["images"]) == (80, 100, 7)
    assert line["share"] == pytest.approx(100 / 3)


def test_gains_are_over_the_better_vector():
    lines = [
        {"method": "CMLU_beta", "omega": (0, 1), "perturbation": name, "both": both}
        for name, both in (("first", 30.0), ("second", 50.0), ("sum", 45.0))
    ]
    assert figure_05.gains(pd.DataFrame(lines), "CMLU_beta").to_dict() == {(0, 1): -5.0}


def test_telling_images_come_first(setup):
    omega = setup.omegas[2][0]
    index = figure_05.telling(setup, "CMLU_beta", omega, 100)
    assert sorted(index.tolist()) == setup.test.containing(omega).tolist()
    hidden = ~(figure_05.attacked_logits(setup, paper.learn(setup, "CMLU_beta"), omega, index)[:, list(omega)] > 0).any(
        1
    )
    assert hidden.int().tolist() == sorted(hidden.int().tolist(), reverse=True)


def test_the_sum_off_counts_agree_with_rates(setup):
    rows = figure_05.switched_off(setup, ["CMLU_beta"], setup.omegas[2])
    table = universal.evaluate(paper.learn(setup, "CMLU_beta"), setup.test, setup.omegas[2], progress=False)
    total = rows[rows["perturbation"] == "sum"]
    assert total["both"].tolist() == pytest.approx(table["FR"].tolist())
    assert (total["both"] <= total[["off 1", "off 2"]].min(axis=1) + 1e-9).all()


def test_coordinates_of_what_lies_in_the_plane(setup):
    basis = paper.learn(setup, "CMLU_beta")
    u, v = basis.vectors
    pair = tuple(sorted(basis.labels))
    first, second = (u, v) if pair == basis.labels else (v, u)
    w = 0.5 * first / first.abs().max() - 2 * second / second.abs().max()
    assert figure_05.coordinates(basis, w, pair) == pytest.approx((0.5, -2, 1), abs=1e-5)


def test_printed_rows_in_order():
    printed = tables.in_order(reported("cmlu/table-01"), ["dataset", "model"])
    assert printed["method"][:7].tolist() == list(paper.METHODS)
    assert printed["target_set_size"].tolist()[::7] == ["1", "3", "5"] * 4
    assert tables.tabular(printed)["|Ω|"].tolist() == printed["target_set_size"].tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: paper.settings("table-05"), "did you mean 'table-0.'"),
        (lambda _: paper.settings("table-01", "paper"), "no paper profile yet"),
        (lambda _: paper.settings("table-01", "cluster"), "choose one of 'laptop', 'paper'"),
        (lambda _: paper.size(EASY, images=-1), "images is -1: give a positive number, or 0"),
        (lambda setup: paper.learn(setup, "CMLU"), "method is 'CMLU': did you mean"),
    ],
)
def test_errors(call, message, setup):
    with pytest.raises(ValueError, match=message) as error:
        call(setup)
    assert "\n" not in str(error.value)
