"""The printed tables become trials, and scenes have the targets that the paper asks for."""

import pytest
import torch

from companion import datasets, victims
from companion.papers.jma import experiments as paper
from companion.report import reported
from companion.victims.paper import EXPECTED
from flipbook import attacks
from flipbook.evaluation import experiment

TABLES = [f"table-{number:02d}" for number in range(1, 15)]


@pytest.fixture(scope="module")
def labels_scene():
    return paper.scene(paper.panels("table-08")[0], 4)


@pytest.fixture(scope="module")
def code_scene():
    return paper.scene(paper.panels("table-05")[0], 4)


@pytest.mark.parametrize("artefact", TABLES)
def test_every_printed_row_becomes_a_trial(artefact, code_scene):
    printed = reported(f"jma/{artefact}")
    trials = paper.trials(printed, code_scene, paper.Size(4, 10**9, 10**9))
    made = {(trial.method, trial.parameters) for trial in trials}
    assert made >= set(zip(printed["method"], printed["parameters"], strict=True))
    assert len(trials) == len({(trial.method, trial.parameters) for trial in trials})


def test_hyper_parameters_are_the_printed_ones(code_scene):
    trials = {
        (t.method, t.parameters): t
        for t in paper.trials(reported("jma/table-04"), code_scene, paper.Size(4, 10**9, 10**9))
    }
    as_published = {"step": 0.05, "max_iterations": 200, "kappa": 0.0, "cap_step": False}
    assert trials["JMA", "(0.05, 200)"].hyper == as_published
    expected = {"initial_weight": 1e-4, "search_steps": 10, "max_iterations": 500}
    assert trials["C&W", "(1e-4, 10, 500)"].hyper == expected
    assert trials["MLA-LP", "1000"].hyper == {"max_iterations": 1000}


def test_semantic_rows_have_the_gmla_bound_and_ours_name_their_own(labels_scene):
    trials = paper.trials(reported("jma/table-08"), labels_scene, paper.Size(4, 10_000, 200))
    (printed,) = (trial for trial in trials if trial.method == "SemA-ML")
    assert (printed.parameters, printed.attack) == ("300", attacks.gmla)
    assert printed.hyper == {"bound": 0.01, "max_iterations": 300}
    own = paper.sema_trial(3, bound=0.02)
    assert own.parameters == "3, ε = 0.02"
    rows = experiment.grid(
        [own], labels_scene.model, labels_scene.chosen.images, labels_scene.goal, store=False, progress=False
    )
    assert 0.01 < rows["linf"].max() <= 0.02 + 1e-6


def test_limits_leave_long_rows_out_and_say_so(labels_scene):
    printed = reported("jma/table-08")
    trials = paper.trials(printed, labels_scene, paper.Size(4, 10_000, 200))
    assert [t.parameters for t in trials if t.method == "ML-C&W"] == ["(0.01, 1000)"]
    assert all(t.hyper["max_iterations"] <= 200 for t in trials if t.method == "JMA")
    said = paper.reduced(printed, trials, 4)
    assert said.startswith("4 of 200 images; without ")
    assert "ML-C&W (0.1, 5000)" in said
    assert "SemA-ML" not in said


@pytest.mark.parametrize("artefact", TABLES)
def test_panels_are_those_of_the_printed_table(artefact):
    panels = paper.panels(artefact)
    assert [p.letter for p in panels] == list(dict.fromkeys(reported(f"jma/{artefact}")["panel"]))
    for panel in panels:
        assert victims.describe(panel.victim).dataset == panel.data


@pytest.mark.parametrize("artefact", paper._PAPER)
def test_paper_panels_are_among_the_printed_ones(artefact):
    panels, printed = paper.panels(artefact, "paper"), reported(f"jma/{artefact}")["panel"]
    assert {panel.letter for panel in panels} <= set(printed)
    for panel, stand_in in zip(panels, paper.panels(artefact), strict=False):
        assert (panel.letter, panel.target, panel.require_correct) == (
            stand_in.letter,
            stand_in.target,
            stand_in.require_correct,
        )
        if panel.victim in EXPECTED:
            assert EXPECTED[panel.victim][0] == panel.data


def test_flips_exactly_ten_predicted_labels(labels_scene):
    assert ((labels_scene.chosen.predicted.bool() != labels_scene.goal.target).sum(dim=1) == 10).all()
    assert (labels_scene.chosen.predicted == labels_scene.chosen.targets).all()


def test_more_images_extend_the_list(labels_scene):
    fewer = paper.scene(labels_scene.panel, 2)
    assert fewer.chosen.indices == labels_scene.chosen.indices[:2]
    assert torch.equal(fewer.goal.target, labels_scene.goal.target[:2])


def test_lots_aims_at_images_of_the_target_class(code_scene):
    aim = paper.mean_logits(code_scene)
    assert (aim.tanh() @ code_scene.codebook.T).argmax(dim=1).tolist() == code_scene.goal.target.tolist()
    alone = paper.mean_logits(paper.scene(code_scene.panel, 1))
    torch.testing.assert_close(alone, aim[:1])


def test_one_image_of_a_class():
    scene = paper.one_image(paper.panels("table-05")[0], "1", "3")
    names = datasets.load("digits", split="test").labels
    assert [names[i] for i in scene.chosen.targets] == ["1"]
    assert paper.wishes(scene) == ["1 → 3"]


def test_wishes_name_what_goes_and_what_comes(labels_scene):
    text = paper.wishes(labels_scene)[0]
    assert text.count("\n") == 3
    assert text.endswith("and 7 more")


def test_sizes_follow_the_profile_unless_asked():
    assert paper.size("table-06", "laptop").images < paper.size("table-06", "paper").images == 200
    assert paper.size("table-06", "laptop", images=50).images == 50
    everything = paper.size("table-09", "paper")
    assert everything.largest_search > 100_000
    assert everything.largest_loop > 2000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paper.panels("table-15"), "the JMA paper's tables are table-01"),
        (lambda: paper.panels("table-06", "cluster"), "choose 'laptop' or 'paper'"),
        (lambda: paper.panels("table-13", "paper"), "no paper profile yet.*pictograms81 stands in for.*table-12"),
        (lambda: paper.size("table-06", "laptop", images=-1), "images is -1: give a positive number, or 0"),
        (lambda: paper.one_image(paper.panels("table-05")[0], "eleven", ""), "class 'eleven' is not one of digits"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
