"""What must hold of every attack in the registry, whatever it does inside."""

import inspect
import warnings

import pytest
import torch
from torch import nn

from flipbook.attacks import ALL
from flipbook.core.attack_result import AttackResult
from tests.attacks.cases import MODELS, goals_of, images_and_goal, model_named, narrowed, settings, sliced

COLUMNS = ("images", "reached", "iterations", "forwards", "backwards", "first_success")
BLACK_BOX = {"corner_search", "one_pixel"}
every_attack = pytest.mark.parametrize("name", sorted(ALL))
every_attack_and_goal = pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in sorted(ALL) for kind in goals_of(name)]
)
every_model = pytest.mark.parametrize("model_name", MODELS)


def prepare(name, kind=None, model_name="cnn"):
    kind = kind or goals_of(name)[0]
    model = model_named(model_name, kind)
    x, goal = images_and_goal(model, kind)
    return model, x, goal, settings(name, goal, model(x[:1]).shape[1])


def assert_same(a: AttackResult, b: AttackResult):
    torch.testing.assert_close(a.images, b.images, atol=1e-7, rtol=0)
    for column in COLUMNS[1:]:
        assert torch.equal(getattr(a, column), getattr(b, column)), column


@every_attack_and_goal
@every_model
def test_a_result_is_what_it_says(name, kind, model_name):
    """In the box; `reached` is the decision from scratch; a failure is no worse than the clean image."""
    model, x, goal, options = prepare(name, kind, model_name)
    before = x.clone()
    result = ALL[name](model, x, goal, **options)
    assert torch.equal(x, before)
    assert result.images.dtype == x.dtype
    assert result.images.min() >= 0
    assert result.images.max() <= 1
    assert torch.equal(result.reached, goal.reached(model(result.images)))
    assert (goal.violations(model(result.images)) <= goal.violations(model(x))).all()
    assert torch.equal(result.first_success > 0, result.reached)
    assert (result.first_success <= result.forwards + result.backwards).all()
    assert not result.images.requires_grad


@every_attack_and_goal
@every_model
def test_a_goal_already_reached_costs_nothing(name, kind, model_name):
    model, x, goal, options = prepare(name, kind, model_name)
    result = ALL[name](model, x, goal, **options)
    assert torch.equal(result.images[2], x[2])
    row = [int(getattr(result, column)[2]) for column in COLUMNS[1:]]
    assert row == [1, 0, 1, 0, 1]  # reached, no iteration, one forward, no backward, and known after that


@every_attack_and_goal
def test_a_batch_is_its_images_one_by_one(name, kind):
    """Neighbours do not matter, neither those that finish early and leave the batch nor those that stay."""
    model, x, goal, options = prepare(name, kind)
    together = ALL[name](model, x, goal, **options)
    alone = [ALL[name](model, x[i : i + 1], goal[i : i + 1], **sliced(options, slice(i, i + 1))) for i in range(len(x))]
    assert_same(together, AttackResult.join(alone))


@every_attack
@every_model
def test_permuting_the_batch_permutes_the_result(name, model_name):
    model, x, goal, options = prepare(name, model_name=model_name)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    straight = ALL[name](model, x, goal, **options)
    permuted = ALL[name](model, x[order], goal[order], **sliced(options, order))
    assert_same(AttackResult(*(getattr(straight, column)[order] for column in COLUMNS)), permuted)


class Watched(nn.Module):
    """Counts by itself how many images pass forward and how many gradients come back."""

    def __init__(self, model):
        super().__init__()
        self.model, self.forwards, self.backwards = model.eval(), 0, 0
        self.eval()

    def forward(self, x):
        z = self.model(x)
        self.forwards += len(x)
        if z.requires_grad:
            z.register_hook(self._back)
        return z

    def _back(self, gradient):
        self.backwards += len(gradient)


@every_attack_and_goal
def test_passes_are_counted_as_they_are_made(name, kind):
    model, x, goal, options = prepare(name, kind)
    watched = Watched(model)
    result = ALL[name](watched, x, goal, **options)
    assert watched.forwards == int(result.forwards.sum()) + 3  # the check of the inputs tries one image, and two
    assert watched.backwards == int(result.backwards.sum())
    assert (watched.backwards > 0) == (name not in BLACK_BOX)


CHANGES = {
    "strattack": [("tau", 0.5), ("gamma", 20.0)],
    "corner_search": [("n_iter", 5), ("n_max", 3), ("variant", "l0"), ("seed", 1)],
    "cw_l0": [("shrink", 3.0), ("kappa", 0.5)],
    "one_pixel": [("population", 12), ("factor", 0.9), ("seed", 1)],
    "cw_l2": [
        ("kappa", 1.0),
        ("learning_rate", 0.02),
        ("initial_weight", 3.0),
        ("search_steps", 1),
        ("max_iterations", 9),
    ],
    "ecoc_attack": [("eta", 1.0), ("learning_rate", 0.02), ("initial_weight", 3.0), ("search_steps", 1)],
    "ml_cw": [("gamma", 1.0), ("learning_rate", 0.02), ("initial_weight", 3.0), ("released_code", True)],
    "jma": [("step", 0.1), ("kappa", 0.3), ("search_steps", 2), ("max_iterations", 1)],
    "lots": [("step", 0.01), ("max_iterations", 2)],
    "mla_lp": [("max_iterations", 1), ("lowering", 0.4)],
    "fgsm": [("bound", 0.1), ("step", 0.1), ("norm", "l2")],
    "mi_fgsm": [("step", 0.03), ("norm", "l2"), ("decay", 0.0)],
    "pgd": [("step", 0.01), ("norm", "l2"), ("random_start", True)],
    "tkalc": [("beta", 2.0)],
    "tkmia": [("momentum", 0.0), ("weight_decay", 1.0)],
}


@pytest.mark.parametrize(("name", "option", "value"), [(n, *change) for n in CHANGES for change in CHANGES[n]])
def test_a_changed_hyper_parameter_changes_the_result(name, option, value):
    model, x, goal, options = prepare(name)
    usual = ALL[name](model, x, goal, **options)
    changed = ALL[name](model, x, goal, **(options | {option: value}))
    assert not torch.equal(usual.images, changed.images)


@every_attack
def test_works_inside_no_grad_and_leaves_parameters_alone(name):
    model, x, goal, options = prepare(name)
    usual = ALL[name](model, x, goal, **options)
    model.requires_grad_()
    with torch.no_grad():
        again = ALL[name](model, x, goal, **options)
    assert_same(usual, again)
    assert all(p.grad is None for p in model.parameters())


@every_attack
def test_single_precision_stays_single(name):
    model, x, goal, options = prepare(name)
    result = ALL[name](model.float(), x.float(), goal, **options)
    assert result.images.dtype == torch.float32
    assert result.reached.float().mean() >= 0.5


@every_attack_and_goal
def test_an_empty_batch_gives_an_empty_result(name, kind):
    model, x, goal, options = prepare(name, kind)
    result = ALL[name](model, x[:0], goal[:0], **sliced(options, slice(0, 0)))
    assert len(result) == 0
    assert result.images.shape == x[:0].shape
    assert all(len(getattr(result, column)) == 0 for column in COLUMNS)


class Altered(nn.Module):
    """A model whose logits go through one more function."""

    def __init__(self, model, after):
        super().__init__()
        self.model, self.after = model, after
        self.eval()

    def forward(self, x):
        return self.after(self.model(x))


BAD_INPUT = {
    "images have shape": lambda m, x, g: (m, x[0], g),
    "images lie in": lambda m, x, g: (m, x * 255, g),
    "images hold NaN": lambda m, x, g: (m, torch.where(x == x.max(), torch.nan, x), g),
    "images are torch.uint8": lambda m, x, g: (m, (x * 255).byte(), g),
    "goal speaks of 5 images": lambda m, x, g: (m, x, g[:5]),
    "training mode": lambda m, x, g: (Altered(m, nn.Identity()).train(), x, g),
    "has 4 columns": lambda m, x, g: (m, x, narrowed(g)),
    "carry no gradient": lambda m, x, g: (Altered(m, torch.Tensor.detach), x, g),
    "must give logits": lambda m, x, g: (Altered(m, torch.Tensor.flatten), x, g),
}


@every_attack
@pytest.mark.parametrize("message", sorted(BAD_INPUT))
def test_bad_input_is_refused_in_one_line(name, message):
    model, x, goal, options = prepare(name)
    model, x, goal = BAD_INPUT[message](model, x, goal)
    with pytest.raises(ValueError, match=message) as caught:
        ALL[name](model, x, goal, **options)
    assert "\n" not in str(caught.value)


@every_attack
def test_probabilities_in_place_of_logits_are_warned_of(name):
    model, x, goal, options = prepare(name)
    with pytest.warns(UserWarning, match="probabilities"):
        ALL[name](Altered(model, torch.sigmoid), x, goal, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ALL[name](model, x, goal, **options)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in sorted(ALL)
        for option in sorted(
            {"max_iterations", "step", "learning_rate", "initial_weight", "search_steps", "lowering", "chunk"}
            & set(inspect.signature(ALL[name]).parameters)
        )
        if (name, option) not in {("jma", "search_steps"), ("jma", "chunk")}  # 0 has a meaning there
    ],
)
@pytest.mark.parametrize("value", [0, -1])
def test_hyper_parameters_out_of_range_are_named(name, option, value):
    model, x, goal, options = prepare(name)
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        ALL[name](model, x, goal, **(options | {option: value}))


COUNTS = [
    (name, option.name)
    for name in sorted(ALL)
    for option in inspect.signature(ALL[name]).parameters.values()
    if option.annotation in (int, int | None) and option.name != "seed"
]


@pytest.mark.parametrize(("name", "option"), COUNTS)
@pytest.mark.parametrize("value", [2.5, torch.inf, torch.nan, "7", True])
def test_counts_that_are_no_whole_numbers_are_named(name, option, value):
    model, x, goal, options = prepare(name)
    with pytest.raises(ValueError, match=f"^{option} is {value!r}: it must be a whole number") as caught:
        ALL[name](model, x, goal, **(options | {option: value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "option"),
    [(n, o) for n in sorted(ALL) for o in ("step", "learning_rate") if o in inspect.signature(ALL[n]).parameters],
)
@pytest.mark.parametrize("value", [torch.inf, torch.nan, "1"])
def test_steps_that_lead_nowhere_are_named(name, option, value):
    model, x, goal, options = prepare(name)
    with pytest.raises(ValueError, match=f"^{option} is {value!r}: it must be"):
        ALL[name](model, x, goal, **(options | {option: value}))


@pytest.mark.parametrize(("name", "option"), [("cw_l2", "kappa"), ("ecoc_attack", "eta"), ("ml_cw", "gamma")])
def test_negative_margins_are_refused(name, option):
    model, x, goal, options = prepare(name)
    with pytest.raises(ValueError, match=f"{option} is -1"):
        ALL[name](model, x, goal, **(options | {option: -1}))


def test_every_attack_is_a_plain_function_with_the_same_start():
    for name, attack in ALL.items():
        assert attack.__name__ == name
        parameters = inspect.signature(attack).parameters
        assert list(parameters)[:3] == ["model", "images", "goal"]
        assert all(p.kind is p.KEYWORD_ONLY for p in list(parameters.values())[3:])
