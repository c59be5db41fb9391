"""FGSM, MI-FGSM and PGD in L∞ and L2: where they end on affine models, their default steps, balls and starts."""

import math

import pytest
import torch

from flipbook.attacks import fgsm, mi_fgsm, pgd
from flipbook.attacks.engines.norm_balls import uniform_start
from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.seen import Seen

FAMILY = (fgsm, mi_fgsm, pgd)
every_attack = pytest.mark.parametrize("attack", FAMILY)
FAR = HideLabels(torch.eye(6)[:1])  # for `high()`


def high(outputs=6):
    """An affine model with a first logit that no attack of this file brings below 0, and an image for it."""
    model, x = random_affine(outputs=outputs), mid_grey(1)
    model.b = model.b + 9 * torch.eye(outputs)[0] - (model.W @ x.flatten())
    return Seen(model), x


@every_attack
@pytest.mark.parametrize("bound", [None, 0.1])
def test_linf_ends_in_the_corner_of_the_ball(attack, bound):
    seen, x = high()
    result = attack(seen, x, FAR, bound=bound)
    corner = x - (8 / 255 if bound is None else bound) * seen.model.W[0].sign().view_as(x)
    assert not result.reached
    torch.testing.assert_close(seen.batches[-1], corner, atol=1e-12, rtol=0)


@every_attack
@pytest.mark.parametrize("bound", [None, 0.3])
def test_l2_ends_at_epsilon_along_the_gradient(attack, bound):
    seen, x = high()
    attack(seen, x, FAR, norm="l2", bound=bound)
    w = seen.model.W[0]
    ε = 2 / 255 * 108**0.5 if bound is None else bound
    torch.testing.assert_close(seen.batches[-1], x - (ε * w / w.norm()).view_as(x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_default_steps_are_the_papers(norm):
    """FGSM takes ε at once, MI-FGSM a tenth in each of ten steps, PGD 2.5 ε / T, so that it is there after 0.4 T."""
    order = {"linf": math.inf, "l2": 2}[norm]
    for attack, lengths in (
        (fgsm, [0, 1]),
        (mi_fgsm, [i / 10 for i in range(11)]),
        (pgd, [min(1, 0.025 * i) for i in range(101)]),
    ):
        seen, x = high()
        attack(seen, x, FAR, norm=norm, bound=0.2)
        found = [torch.linalg.vector_norm(shown - x, ord=order).item() / 0.2 for shown in seen.batches[3:]]
        assert found == pytest.approx(lengths, abs=1e-9), attack


@every_attack
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_class_is_approached_along_the_gradient_of_its_log_probability(attack, norm):
    """Targeted: the loss of the target is descended, so that the first step raises log softmax(z)_t."""
    model, x = random_affine(), mid_grey(1)
    t = int(model(x).argmin())
    seen = Seen(model)
    options = {} if attack is fgsm else {"max_iterations": 1}
    attack(seen, x, ClassTarget(torch.tensor([t])), norm=norm, bound=0.05, step=0.01, **options)
    g = (model.W[t] - model(x).softmax(dim=1)[0] @ model.W).view_as(x)
    way = g.sign() if norm == "linf" else g / g.norm()
    torch.testing.assert_close(seen.batches[-1], x + 0.01 * way, atol=1e-12, rtol=0)


def goals(z):
    order = z.argsort(dim=1, descending=True)
    first, last = (torch.zeros_like(z).scatter(1, order[:, i : i + 2], 1) for i in (0, 2))
    code = torch.tensor([[1, 1, 1, -1, -1, -1], [-1, 1, -1, 1, -1, 1]]).double()
    flipped = (z > 0) ^ (torch.arange(6) < 2)
    agreement = z.tanh() @ code.T
    return {
        "labels": LabelVector(flipped),
        "hidden": HideLabels(first),
        "hidden and kept": HideLabels(first, last),
        "excluded": TopKExcludes(first, 2),
        "ranked": TopKEquals(last, 2, present=first),
        "ranked and hidden": TopKEquals(last, 2, present=first, hide=True),
        "class": ClassTarget(order[:, 1]),
        "code": ClassTarget(agreement.argmin(dim=1), code),
        "both": HideLabels(first) & TopKExcludes(first, 2),
    }


@pytest.mark.parametrize("attack", [mi_fgsm, pgd])
@pytest.mark.parametrize("kind", goals(torch.arange(6).double()[None]))
def test_goals_of_every_kind_are_reached_in_both_norms(attack, kind):
    """MI-FGSM's momentum, which never decays, may carry an image past its goal."""
    model, x = SmallNet(), mid_grey(6)
    goal, least = goals(model(x))[kind], 6 if attack is pgd else 4
    assert attack(model, x, goal, bound=0.3, max_iterations=60).reached.sum() >= least
    assert attack(model, x, goal, norm="l2", bound=3.0, max_iterations=60).reached.sum() >= least


@every_attack
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ε", [0.003, 0.3, 0.9])
def test_iterates_stay_in_the_box_and_the_linf_ball_bitwise(attack, dtype, ε):
    x = torch.cat([mid_grey(2), mid_grey(2).round(), torch.rand(2, 3, 6, 6, dtype=torch.float64)]).to(dtype)
    seen = Seen(SmallNet().to(dtype))
    options = {"random_start": True} if attack is pgd else {}
    attack(seen, x, LabelVector(seen.model(x) < 0), bound=ε, **options)
    low, high = (x - ε).clamp(min=0), (x + ε).clamp(max=1)
    whole = [shown for shown in seen.batches if len(shown) == 6]
    assert len(whole) >= 3
    assert all(((shown >= low) & (shown <= high)).all() for shown in whole)


def test_a_gradient_of_any_size_makes_a_step_of_the_same_length():
    """In single precision its squares would overflow, or vanish."""
    lengths = []
    for scale in (1e-25, 1.0, 1e25):
        model, x = random_affine(scale=scale), mid_grey(1).float()
        model.b *= 0
        seen = Seen(model.float())
        wanted = (model(x) < 0)[:, :1]
        pgd(seen, x, LabelVector(torch.cat([wanted, model(x)[:, 1:] > 0], dim=1)), norm="l2", bound=0.1)
        lengths.append(float((seen.batches[4] - x).norm()))
    assert lengths == pytest.approx([0.0025] * 3, rel=1e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_are_uniform_in_the_ball_and_belong_to_the_image(norm):
    x = torch.rand(400, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    δ = uniform_start(x, norm, 0.5, seed=3)
    lengths = torch.linalg.vector_norm(δ.flatten(1), ord=math.inf if norm == "linf" else 2, dim=1) / 0.5
    assert lengths.max() <= 1
    assert lengths.pow(4).mean() == pytest.approx(0.5, abs=0.05)  # of a share u of the radius, u⁴ is uniform
    assert δ.mean(dim=0).abs().max() < 0.05
    assert torch.equal(uniform_start(x[7:8], norm, 0.5, seed=3), δ[7:8])
    assert not torch.equal(uniform_start(x, norm, 0.5, seed=4), δ)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_starts_where_it_is_told_and_only_then_looks_at_the_goal(norm):
    seen, x = high()
    pgd(seen, x, FAR, norm=norm, bound=0.1, max_iterations=2)
    torch.testing.assert_close(seen.batches[3], x, atol=0, rtol=0)
    seen, x = high()
    pgd(seen, x, FAR, norm=norm, bound=0.1, max_iterations=2, random_start=True, seed=5)
    torch.testing.assert_close(seen.batches[3], x + uniform_start(x, norm, 0.1, 5), atol=1e-15, rtol=0)
    there = pgd(seen.model, x, LabelVector(seen.model(x) > 0), random_start=True)
    assert torch.equal(there.images, x)  # a goal already reached costs nothing


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (fgsm, {"norm": "l1"}, "norm is 'l1': choose one of 'linf', 'l2'"),
        (pgd, {"direction": "gradient"}, "direction is 'gradient'"),
        (mi_fgsm, {"loss": "hinge"}, "loss is 'hinge'"),
        (pgd, {"bound": 0}, "bound is 0"),
        (fgsm, {"bound": math.inf}, "step is None, but bound is inf"),
        (mi_fgsm, {"bound": math.inf}, "step is None, but bound is inf"),
        (pgd, {"bound": math.inf, "step": 0.1, "random_start": True}, "random_start is True, but bound is inf"),
        (pgd, {"random_start": True, "seed": -1}, "seed is -1"),
        (mi_fgsm, {"decay": -0.5}, r"decay is -0\.5"),
    ],
)
def test_bad_settings(attack, options, message):
    seen, x = high()
    with pytest.raises(ValueError, match=message) as caught:
        attack(seen, x, FAR, **options)
    assert "\n" not in str(caught.value)
