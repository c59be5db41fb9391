"""The printed tables become configs, and setups have the targets that the paper asks for."""

import pytest
import torch

from companion import datasets, victims
from companion.papers.jma import experiments as paper
from companion.report import reported
from companion.victims.paper import EXPECTED
from flipbook import attacks, evaluation

TABLES = [f"table-{number:02d}" for number in range(1, 15)]


@pytest.fixture(scope="module")
def labels_scene():
    return paper.setup(paper.settings("table-08")[0], 4)


@pytest.fixture(scope="module")
def code_scene():
    return paper.setup(paper.settings("table-05")[0], 4)


@pytest.mark.parametrize("artefact", TABLES)
def test_every_printed_row_becomes_a_trial(artefact, code_scene):
    printed = reported(f"jma/{artefact}")
    configs = paper.configs(printed, code_scene, paper.Size(4, 10**9, 10**9))
    made = {(config.method, config.parameters) for config in configs}
    assert made >= set(zip(printed["method"], printed["parameters"], strict=True))
    assert len(configs) == len({(config.method, config.parameters) for config in configs})


def test_hyper_parameters_are_the_printed_ones(code_scene):
    configs = {
        (t.method, t.parameters): t
        for t in paper.configs(reported("jma/table-04"), code_scene, paper.Size(4, 10**9, 10**9))
    }
    as_published = {"step": 0.05, "max_iterations": 200, "kappa": 0.0, "cap_step": False}
    assert configs["JMA", "(0.05, 200)"].hyper == as_published
    expected = {"initial_weight": 1e-4, "search_steps": 10, "max_iterations": 500}
    assert configs["C&W", "(1e-4, 10, 500)"].hyper == expected
    assert configs["MLA-LP", "1000"].hyper == {"max_iterations": 1000}


def test_semantic_rows_have_the_gmla_bound_and_ours_name_their_own(labels_scene):
    configs = paper.configs(reported("jma/table-08"), labels_scene, paper.Size(4, 10_000, 200))
    (printed,) = (config for config in configs if config.method == "SemA-ML")
    assert (printed.parameters, printed.attack) == ("300", attacks.gmla)
    assert printed.hyper == {"bound": 0.01, "max_iterations": 300}
    own = paper.sema_trial(3, bound=0.02)
    assert own.parameters == "3, ε = 0.02"
    rows = evaluation.grid(
        [own], labels_scene.model, labels_scene.chosen.images, labels_scene.goal, store=False, progress=False
    )
    assert 0.01 < rows["linf"].max() <= 0.02 + 1e-6


def test_limits_leave_long_rows_out_and_say_so(labels_scene):
    printed = reported("jma/table-08")
    configs = paper.configs(printed, labels_scene, paper.Size(4, 10_000, 200))
    assert [t.parameters for t in configs if t.method == "ML-C&W"] == ["(0.01, 1000)"]
    assert all(t.hyper["max_iterations"] <= 200 for t in configs if t.method == "JMA")
    said = paper.reduced(printed, configs, 4)
    assert said.startswith("4 of 200 images; without ")
    assert "ML-C&W (0.1, 5000)" in said
    assert "SemA-ML" not in said


@pytest.mark.parametrize("artefact", TABLES)
def test_panels_are_those_of_the_printed_table(artefact):
    settings = paper.settings(artefact)
    assert [p.letter for p in settings] == list(dict.fromkeys(reported(f"jma/{artefact}")["panel"]))
    for setting in settings:
        assert victims.describe(setting.victim).dataset == setting.data


@pytest.mark.parametrize("artefact", paper._PAPER)
def test_paper_panels_are_among_the_printed_ones(artefact):
    settings, printed = paper.settings(artefact, "paper"), reported(f"jma/{artefact}")["panel"]
    assert {setting.letter for setting in settings} <= set(printed)
    for setting, stand_in in zip(settings, paper.settings(artefact), strict=False):
        assert (setting.letter, setting.target, setting.require_correct) == (
            stand_in.letter,
            stand_in.target,
            stand_in.require_correct,
        )
        if setting.victim in EXPECTED:
            assert EXPECTED[setting.victim][0] == setting.data


def test_flips_exactly_ten_predicted_labels(labels_scene):
    assert ((labels_scene.chosen.predicted.bool() != labels_scene.goal.target).sum(dim=1) == 10).all()
    assert (labels_scene.chosen.predicted == labels_scene.chosen.targets).all()


def test_more_images_extend_the_list(labels_scene):
    fewer = paper.setup(labels_scene.setting, 2)
    assert fewer.chosen.indices == labels_scene.chosen.indices[:2]
    assert torch.equal(fewer.goal.target, labels_scene.goal.target[:2])


def test_lots_aims_at_images_of_the_target_class(code_scene):
    aim = paper.mean_logits(code_scene)
    assert (aim.tanh() @ code_scene.codebook.T).argmax(dim=1).tolist() == code_scene.goal.target.tolist()
    alone = paper.mean_logits(paper.setup(code_scene.setting, 1))
    torch.testing.assert_close(alone, aim[:1])


def test_one_image_of_a_class():
    setup = paper.one_image(paper.settings("table-05")[0], "1", "3")
    names = datasets.load("digits", split="test").labels
    assert [names[i] for i in setup.chosen.targets] == ["1"]
    assert paper.target_captions(setup) == ["1 → 3"]


def test_wishes_name_what_goes_and_what_comes(labels_scene):
    text = paper.target_captions(labels_scene)[0]
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
        (lambda: paper.settings("table-15"), "the JMA paper's tables are table-01"),
        (lambda: paper.settings("table-06", "cluster"), "choose 'laptop' or 'paper'"),
        (lambda: paper.settings("table-13", "paper"), "no paper profile yet.*pictograms81 stands in for.*table-12"),
        (lambda: paper.size("table-06", "laptop", images=-1), "images is -1: give a positive number, or 0"),
        (lambda: paper.one_image(paper.settings("table-05")[0], "eleven", ""), "class 'eleven' is not one of digits"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
