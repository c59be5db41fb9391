"""What the attacks do alike: grey levels, half precision, layouts of memory, models of many makes, empty batches."""

import functools
import inspect
import pickle

import pytest
import torch
from torch import nn

from flipbook import attacks, metrics
from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.goals import HideLabels, LabelVector
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.cases import goals_of, images_and_goal, model_named, settings, sliced
from tests.attacks.test_every_attack import prepare

every_attack = pytest.mark.parametrize("name", sorted(attacks.ALL))
MANY = torch.float16, torch.bfloat16


HALF_A_LEVEL = {("mla_lp", "excluded"), ("mla_lp", "ranked")}  # flattest steps, all of whose entries round to nothing


def on_levels(name, kind=None):
    """Model, 8-bit images, a goal for them and short settings."""
    kind = kind or goals_of(name)[0]
    model = model_named("cnn", kind)
    x = metrics.to_8bit(mid_grey(6))
    goal = images_and_goal(model, kind)[1]
    return model, x, goal, settings(name, goal, model(x[:1]).shape[1])


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n in sorted(attacks.ALL) for k in goals_of(n)])
def test_with_256_levels_every_success_is_one_of_the_file(name, kind):
    model, x, goal, options = on_levels(name, kind)
    result = attacks.ALL[name](model, x, goal, levels=256, **options)
    assert torch.equal(metrics.to_8bit(result.images), result.images)
    assert torch.equal(result.reached, goal.reached(model(result.images)))
    assert torch.equal(result.reached_8bit, result.reached)
    freely = attacks.ALL[name](model, x, goal, **options)
    assert freely.reached_8bit is None
    if (name, kind) not in HALF_A_LEVEL:
        assert result.reached.sum() >= freely.reached.sum() - 1
    if name in ("sapf", "sapf_gs", "sapf_vi"):
        assert ((result.images != x).flatten(1).sum(dim=1) <= 60).all()


@pytest.mark.parametrize("name", ["masw", "pgd", "fgsm", "rank_i", "gmla", "apgd", "mi_fgsm", "ml_deepfool"])
@pytest.mark.parametrize("size", [0.021, 0.3])
def test_rounding_keeps_to_the_ball(name, size):
    model, x = SmallNet(), metrics.to_8bit(mid_grey(6))
    goal = HideLabels(model(x) > 0)
    for norm in ("linf", "l2") if "norm" in inspect.signature(attacks.ALL[name]).parameters else (None,):
        ball = "radius" if "radius" in inspect.signature(attacks.ALL[name]).parameters else "bound"
        options = {ball: size} | ({"norm": norm} if norm else {})
        result = attacks.ALL[name](model, x, goal, levels=256, **options)
        δ = (result.images - x).flatten(1)
        order = 2 if ball == "radius" or norm == "l2" else torch.inf
        assert (δ.norm(dim=1, p=order) <= size + 1e-9).all()
        assert torch.equal(metrics.to_8bit(result.images), result.images)
        assert torch.equal(result.reached, goal.reached(model(result.images)))


def test_images_off_the_levels_are_refused():
    model, x = random_affine(), mid_grey(3)
    goal = LabelVector(~(model(x) > 0))
    with pytest.raises(ValueError, match="images do not lie on 256 grey levels: round them first") as caught:
        attacks.jma(model, x, goal, levels=256)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"bound is 0\.001: with 256 grey levels it must be at least 1/255"):
        attacks.apgd(model, metrics.to_8bit(x), goal, levels=256, bound=0.001)
    with pytest.raises(ValueError, match="levels is 1: it must be a whole number, 2 or above"):
        attacks.jma(model, x, goal, levels=1)


@every_attack
@pytest.mark.parametrize("dtype", MANY)
def test_half_precision_does_what_single_precision_does(name, dtype):
    """Images with exact 0 and 1; what is returned in half precision is what the model judged."""
    model, x, goal, options = prepare(name)
    x = torch.where(x > 0.6, 1.0, torch.where(x < 0.4, 0.0, x)).to(dtype)
    model = model.to(dtype)
    z = model(x).double()
    goal = images_and_goal(lambda v: z, goals_of(name)[0])[1]
    options = settings(name, goal, z.shape[1])
    single = {k: v.float() if k == "target_logits" else v for k, v in options.items()}
    usual = attacks.ALL[name](model.float(), x.float(), goal, **single)
    model = model.to(dtype)
    options = {k: v.to(dtype) if k == "target_logits" else v for k, v in options.items()}
    result = attacks.ALL[name](model, x, goal, **options)
    assert result.images.dtype == dtype
    assert result.images.isfinite().all()
    assert torch.equal(result.reached, goal.reached(model(result.images).float()))
    assert result.reached.sum() >= usual.reached.sum() - (2 if dtype == torch.float16 else 3)


@every_attack
def test_autocast_inside_the_model_is_no_matter(name):
    model, x, goal, options = prepare(name)
    model, x = model.float(), x.float()

    def cast(v):
        with torch.autocast("cpu", torch.bfloat16):
            return model(v)

    goal = images_and_goal(lambda v: cast(x).double(), goals_of(name)[0])[1]
    if "target_logits" in options:
        options["target_logits"] = options["target_logits"].float()
    result = attacks.ALL[name](cast, x, goal, **options)
    assert result.images.dtype == torch.float32
    assert torch.equal(result.reached, goal.reached(cast(result.images).float()))


LAYOUTS = {
    "turned": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "every second": lambda x: x.repeat_interleave(2, dim=3)[..., ::2],
    "of a larger batch": lambda x: torch.cat([x, x], dim=1)[:, : x.shape[1]],
}


@every_attack
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_the_images_is_no_matter(name, layout):
    model, x, goal, options = prepare(name)
    usual, other = (attacks.ALL[name](model, each, goal, **options) for each in (x, LAYOUTS[layout](x)))
    torch.testing.assert_close(other.images, usual.images, rtol=0, atol=1e-7)
    assert torch.equal(other.reached, usual.reached)


@every_attack
def test_one_image_seen_many_times_is_attacked_each_time(name):
    model, x, goal, options = prepare(name)
    at = torch.zeros(6, dtype=torch.long)
    result = attacks.ALL[name](model, x[:1].expand(6, -1, -1, -1), goal[at], **sliced(options, at))
    torch.testing.assert_close(result.images, result.images[:1].expand(6, -1, -1, -1), rtol=0, atol=1e-6)


class Grey(nn.Module):
    """A model that begins with a sum over the channels, so that autograd hands back an expanded gradient."""

    def __init__(self, outputs):
        super().__init__()
        self.net = SmallNet(outputs, channels=1)
        self.eval()

    def forward(self, x):
        return self.net(x.sum(dim=1, keepdim=True) / 3)


@every_attack
def test_gradients_that_share_their_memory_are_not_written_into(name):
    kind = goals_of(name)[0]
    model, x = Grey(6), mid_grey(6)
    goal = images_and_goal(model, kind)[1]
    options = settings(name, goal, 6)
    result = attacks.ALL[name](model, x, goal, **options)
    assert torch.equal(result.reached, goal.reached(model(result.images)))


class Shaped(nn.Module):
    """Refuses a batch without images, as `x.view(len(x), -1)` does."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, x):
        assert len(x)
        return self.model(x)


@every_attack
@pytest.mark.parametrize("which", ["none", "all reached", "all failed"])
def test_the_model_is_never_asked_about_no_image(name, which):
    model, x, goal, options = prepare(name)
    if which == "none":
        result = attacks.ALL[name](
            Shaped(model),
            x[:0],
            goal[:0],
            **{k: v for k, v in options.items() if k != "target_logits"}
            | ({"target_logits": options["target_logits"][:0]} if "target_logits" in options else {}),
        )
        assert len(result) == 0
        return
    if which == "all reached":
        at = torch.full((3,), 2)
        result = attacks.ALL[name](Shaped(model), x[at], goal[at], **sliced(options, at))
        assert result.reached.all()
        return
    flat = nn.Sequential(nn.Flatten(), nn.Linear(108, 6)).double().eval().requires_grad_(False)
    flat[1].weight.mul_(1e-9)
    goal = images_and_goal(flat, goals_of(name)[0])[1]
    at = torch.tensor([0, 1, 3])
    options = sliced(settings(name, goal, 6), at)
    attacks.ALL[name](Shaped(flat), x[at], goal[at], **options)


def test_the_decorator_hides_nothing():
    for name, function in attacks.ALL.items():
        parameters = inspect.signature(function).parameters
        assert parameters["levels"].default is None
        assert list(parameters)[:3] == ["model", "images", "goal"]
        assert pickle.loads(pickle.dumps(function)) is function
        assert function.__name__ == name
    assert "step" in inspect.signature(functools.partial(attacks.jma, kappa=0.0)).parameters


def test_it_hands_single_precision_through_untouched():
    seen = []

    @attack
    def nothing(model, images, goal, *, bound=0.1):
        seen.append((model, images, bound))
        return AttackResult.of_nothing(images)

    model, x = random_affine(), mid_grey(2)
    nothing(model, x, LabelVector(model(x) > 0), bound=0.2)
    assert seen[0][0] is model
    assert seen[0][1] is x
    assert seen[0][2] == 0.2
