import numpy as np
import pandas as pd
import pytest
import torch

from flipbook import graphs
from flipbook.graphs import KnowledgeGraph, consistency
from tests.graphs import forests

VOC = graphs.load("voc")
CAT = ["person", "organism", "cat", "carnivore", "placental", "vertebrate"]


def ψ_of(on, targets, graph=VOC):
    return set(graph.names(consistency.h(graph, graph.mask(on)[None], graph.mask(targets)[None])[0]))


def random_cases(count, labels, seed, consistent):
    """(graph, label vectors, targets) of many random forests, 8 vectors each with targets among what is on."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        graph = forests.random_graph(random, int(random.integers(1, labels + 1)))
        draw = forests.consistent_vector if consistent else (lambda r, g: (r.random(len(g)) < 0.6).tolist())
        on = torch.tensor([draw(random, graph) for _ in range(8)])
        yield graph, on, on & torch.from_numpy(random.random(on.shape) < 0.3)


# The examples for VOC


def test_a_parent_with_another_child_on_stays_on():
    assert ψ_of(CAT, ["cat"]) == {"cat", "carnivore", "placental", "vertebrate"}
    assert ψ_of([*CAT, "dog"], ["cat"]) == {"cat"}


def test_siblings_take_their_parent_with_them():
    assert ψ_of([*CAT, "dog"], ["cat", "dog"]) == {"cat", "dog", "carnivore", "placental", "vertebrate"}


def test_what_is_beneath_goes_off_too():
    sofa = ["furniture", "seat", "sofa", "instrumentality"]
    assert ψ_of(sofa, ["furniture"]) == set(sofa)
    assert ψ_of([*sofa, "bottle"], ["furniture"]) == {"furniture", "seat", "sofa"}
    assert ψ_of([*CAT], ["organism"]) == set(CAT)


def test_an_isolated_label_goes_alone_and_no_target_takes_nothing():
    graph = KnowledgeGraph.of("flat", {"a": None, "b": None})
    assert ψ_of(["a", "b"], ["a"], graph) == {"a"}
    assert ψ_of(["a", "b"], [], graph) == set()


# Against plain recursion, and by brute force


@pytest.mark.parametrize("consistent", [True, False])
def test_h_is_that_of_plain_recursion(consistent):
    for graph, on, targets in random_cases(400, 14, 1, consistent):
        Ψ = consistency.h(graph, on, targets)
        for row, vector in enumerate(on.tolist()):
            wanted = forests.plain_h(graph, vector, set(targets[row].nonzero().flatten().tolist()))
            assert set(Ψ[row].nonzero().flatten().tolist()) == wanted


def test_h_leaves_a_consistent_vector_and_switches_nothing_on():
    for graph, on, targets in random_cases(400, 30, 2, True):
        Ψ = consistency.h(graph, on, targets)
        assert consistency.globally_consistent(graph, on).all()
        assert consistency.globally_consistent(graph, on & ~Ψ).all()
        assert (targets & ~Ψ).sum() == 0
        assert (Ψ & ~on).sum() == 0


def test_psi_is_the_one_smallest_consistent_set():
    for graph, on, targets in random_cases(60, 8, 3, True):
        Ψ = consistency.h(graph, on, targets)
        for row, vector in enumerate(on.tolist()):
            best = forests.smallest(graph, vector, set(targets[row].nonzero().flatten().tolist()))
            assert [set(Ψ[row].nonzero().flatten().tolist())] == best


def test_violations_and_local_consistency_are_those_of_plain_recursion():
    for graph, on, nodes in random_cases(300, 14, 4, False):
        violating = consistency.violations(graph, on).tolist()
        at = consistency.consistent_at(graph, on).tolist()
        local = consistency.locally_consistent(graph, on, nodes).tolist()
        for row, vector in enumerate(on.tolist()):
            plain = [forests.violating(graph, vector, node) for node in range(len(graph))]
            assert violating[row] == plain
            well = [not any(plain[other] for other in forests.family(graph, node)) for node in range(len(graph))]
            assert at[row] == well
            assert local[row] == all(well[node] for node in nodes[row].nonzero().flatten().tolist())
            assert bool(consistency.globally_consistent(graph, on)[row]) == (not any(plain))


def test_a_row_does_not_depend_on_the_others():
    graph, on, targets = next(random_cases(1, 30, 5, True))
    together = consistency.h(graph, on, targets)
    alone = torch.cat([consistency.h(graph, on[i : i + 1], targets[i : i + 1]) for i in range(len(on))])
    assert torch.equal(together, alone)


def test_one_target_set_may_serve_all_images():
    on = torch.stack([VOC.mask(CAT), VOC.mask([*CAT, "dog"])])
    assert torch.equal(
        consistency.h(VOC, on, VOC.mask("cat")), consistency.h(VOC, on, VOC.mask("cat").expand(2, -1).to(torch.uint8))
    )
    assert consistency.locally_consistent(VOC, on, VOC.mask("bottle")).tolist() == [True, True]


@pytest.mark.parametrize(
    ("on", "at", "verdict"),
    [
        (["carnivore", "placental", "vertebrate", "organism"], "cat", False),  # on, but no child on
        (["cat"], "cat", False),  # on, but parent off
        (["cat"], "person", True),  # wrong elsewhere: neither above nor beneath person
        (["cat"], "vertebrate", False),  # wrong beneath
        ([], "cat", True),  # off labels are never wrong
        (["bottle"], "instrumentality", False),
        (["instrumentality"], "bottle", False),
    ],
)
def test_local_consistency_looks_above_and_beneath(on, at, verdict):
    assert consistency.locally_consistent(VOC, VOC.mask(on)[None], VOC.mask(at)[None]).tolist() == [verdict]


# Measures


def test_rates_of_hand_made_predictions():
    # Ω = {cat} with person on: Ψ holds 4 of 35 labels, which leaves 31.
    before = VOC.mask(CAT).expand(5, -1)
    off = before & ~VOC.mask(["cat", "carnivore", "placental", "vertebrate"])
    only = before & ~VOC.mask("cat")
    after = torch.stack([off[0], only[0], before[0], off[0] | VOC.mask("bottle"), before[0] | VOC.mask(["dog", "bus"])])
    measured = consistency.measure(before, after, VOC.mask("cat").expand(5, -1), VOC)
    assert list(measured) == ["fr_n", "fr_s", "fr_s_global", "ntr", "ntr_all"]
    assert measured["fr_n"].tolist() == [1, 1, 0, 1, 0]
    assert measured["fr_s"].tolist() == [1, 0, 0, 1, 0]
    assert measured["fr_s_global"].tolist() == [1, 0, 0, 0, 0]  # a bottle without instrumentality
    assert measured["ntr"].tolist() == pytest.approx([0, 0, np.nan, 1 / 31, np.nan], nan_ok=True)
    assert measured["ntr_all"].tolist() == pytest.approx([0, 0, 0, 1 / 31, 2 / 31])


def test_without_a_graph_everything_but_the_targets_counts():
    before = torch.tensor([[1, 1, 0, 0]] * 2)
    measured = consistency.measure(before, torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]]), torch.tensor([[1, 0, 0, 0]] * 2))
    assert list(measured) == ["fr_n", "ntr", "ntr_all"]
    assert measured["fr_n"].tolist() == [1, 0]
    assert measured["ntr"].tolist() == pytest.approx([2 / 3, np.nan], nan_ok=True)
    assert measured["ntr_all"].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_an_image_that_missed_its_goal_can_count_as_clean():
    before, after = torch.tensor([[1, 1, 0]] * 2), torch.tensor([[0, 0, 0]] * 2)
    targets = torch.tensor([[1, 0, 0]] * 2)
    measured = consistency.measure(before, after, targets, reached=torch.tensor([True, False]))
    assert measured["fr_n"].tolist() == [1, 0]
    assert measured["ntr_all"].tolist() == [0.5, 0]


def test_labels_tied_to_the_targets_change_for_free():
    before, after = torch.tensor([[1, 1, 0]]), torch.tensor([[0, 0, 1]])
    assert consistency.flip_rate(before, after, torch.tensor([[1, 1, 0]])).tolist() == [1.0]
    assert consistency.flip_rate(before, after, torch.tensor([[1, 0, 0]])).tolist() == [1.0]
    assert consistency.flip_rate(before, before, torch.tensor([[1, 0, 0]])).tolist() == [0.0]
    assert consistency.flip_rate(before, after, torch.ones(1, 3).bool()).isnan().all()


def test_rmsd_is_in_grey_levels():
    originals = torch.zeros(2, 3, 4, 4)
    images = originals.clone()
    images[0] += 0.01
    images[1, 0, 0, 0] = 1
    assert consistency.rmsd(images, originals).tolist() == pytest.approx([2.55, 255 / 48**0.5])


def test_target_sets_weigh_equally_and_the_deviation_is_the_populations():
    rows = pd.DataFrame(
        {
            "attack": ["a"] * 6,
            "target_set": ["x"] * 4 + ["y"] * 2,
            "fr_n": [1, 1, 1, 0, 0, 0],
            "ntr": [0.2] * 3 + [np.nan] * 3,
        }
    )
    expected = {"fr_n": 0.375, "fr_n_std": 0.375, "ntr": 0.2, "ntr_std": 0.0, "target_sets": 2, "images": 6}
    for table in (consistency.over_target_sets(rows), consistency.over_target_sets(rows, by=["attack"])):
        assert len(table) == 1
        assert table.iloc[0][list(expected)].to_dict() == pytest.approx(expected)


def test_groups_keep_their_order_and_do_not_mix():
    rows = pd.DataFrame(
        {"attack": ["b", "b", "a"], "size": [1, 1, 1], "target_set": [0, 1, 0], "fr_n": [1.0, 0.0, 1.0]}
    )
    table = consistency.over_target_sets(rows, by=["attack", "size"])
    assert table["attack"].tolist() == ["b", "a"]
    assert table["fr_n"].tolist() == [0.5, 1.0]
    assert table["fr_n_std"].tolist() == [0.5, 0.0]
    assert table["target_sets"].tolist() == [2, 1]


# Bad input


def test_a_target_that_is_not_on_is_refused():
    on = torch.stack([VOC.mask(CAT), VOC.mask("person")])
    with pytest.raises(ValueError, match="'cat' is a target of image 1 but is not predicted on there"):
        consistency.h(VOC, on, VOC.mask("cat"))


def test_label_vectors_that_do_not_fit_the_graph_are_refused():
    with pytest.raises(ValueError, match=r"predictions: shape \(1, 20\), must be \(B, 35\): one column for each label"):
        consistency.h(VOC, torch.ones(1, 20, dtype=torch.bool), VOC.mask([])[None])
    with pytest.raises(ValueError, match=r"targets: shape \(1, 20\), must be \(B, 35\)"):
        consistency.h(VOC, VOC.mask(CAT)[None], torch.ones(1, 20, dtype=torch.bool))
    with pytest.raises(ValueError, match="targets: 1 rows, predictions: 2"):
        consistency.h(VOC, VOC.mask(CAT).expand(2, -1), VOC.mask("cat")[None])
    with pytest.raises(ValueError, match="nodes: 1 rows, predictions: 2: give one row for each image"):
        consistency.locally_consistent(VOC, VOC.mask(CAT).expand(2, -1), VOC.mask("cat")[None])
    with pytest.raises(ValueError, match=r"nodes: shape \(2, 20\), must be \(B, 35\)"):
        consistency.locally_consistent(VOC, VOC.mask(CAT).expand(2, -1), torch.zeros(20, dtype=torch.bool))


def test_logits_are_refused():
    with pytest.raises(ValueError, match=r"predictions: torch.float32, must be bool or 0/1: give `logits > 0`"):
        consistency.globally_consistent(VOC, torch.randn(2, 35))


ON = torch.tensor([[1, 1, 0]] * 2).bool()
Ω = torch.tensor([[1, 0, 0]] * 2).bool()
LOGITS = torch.tensor([[-2.0, 3.0, -1.0]] * 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: consistency.measure(ON, LOGITS, Ω), "after: torch.float32, must be bool or 0/1: give `logits > 0`"),
        (lambda: consistency.measure(LOGITS, ON, Ω), "before: torch.float32, must be bool or 0/1: give `logits > 0`"),
        (
            lambda: consistency.measure(ON, LOGITS.int(), Ω),
            "after: holds other numbers than 0 and 1: give `logits > 0`",
        ),
        (lambda: consistency.all_off(LOGITS, Ω), "after: torch.float32, must be bool"),
        (lambda: consistency.flip_rate(ON, LOGITS, Ω), "after: torch.float32, must be bool"),
        (
            lambda: consistency.h(VOC, torch.full((1, 35), 2), VOC.mask("cat")),
            "predictions: holds other numbers than 0",
        ),
        (lambda: consistency.measure(ON, ON, Ω[0]), r"targets: shape \(3,\), before has \(2, 3\): make them equal"),
        (lambda: consistency.measure(ON, ON[:, :2], Ω), r"after: shape \(2, 2\), before has \(2, 3\): make them equal"),
        (lambda: consistency.measure(ON[0], ON, Ω), r"before: shape \(3,\), must be \(B, C\)"),
        (lambda: consistency.all_off(ON, Ω[:1]), r"targets: shape \(1, 3\), after has \(2, 3\): make them equal"),
        (lambda: consistency.flip_rate(ON, ON, Ω[:1]), r"excluded: shape \(1, 3\), before has \(2, 3\)"),
        (lambda: consistency.measure(ON, ON, Ω.to("meta")), "targets are on meta, before on cpu: bring them together"),
        (lambda: consistency.measure(ON, ON, Ω, reached=Ω), r"reached: torch.bool of shape \(2, 3\), must be bool of"),
        (lambda: consistency.measure(ON, ON, Ω, reached=Ω[:, 0].int()), r"reached: torch.int32 of shape \(2,\)"),
        (
            lambda: consistency.measure(~ON, ~ON, Ω, VOC),
            r"predictions: shape \(2, 3\), must be \(B, 35\)",
        ),
        (
            lambda: consistency.measure(~ON, ~ON, Ω),
            "targets: label 0 is a target of image 0 but is not predicted on there",
        ),
    ],
)
def test_measures_refuse_what_is_no_prediction_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_predictions_may_be_numbers():
    assert consistency.all_off(ON.int(), Ω.long()).tolist() == [False, False]
    assert consistency.measure(ON.int(), ON & ~Ω, Ω.to(torch.uint8))["fr_n"].tolist() == [1, 1]


def test_tensors_on_two_devices_are_refused():
    with pytest.raises(ValueError, match=r"predictions are on meta, graph 'voc' is on cpu: use graph.to"):
        consistency.violations(VOC, torch.ones(1, 35, dtype=torch.bool, device="meta"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    for graph, on, targets in random_cases(20, 30, 6, True):
        there = consistency.h(graph.to("cuda"), on.cuda(), targets.cuda())
        assert torch.equal(there.cpu(), consistency.h(graph, on, targets))
