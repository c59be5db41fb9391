"""MI-FGSM in MASW's form: its path in closed form where the gradient never turns, and step by step where it does."""

import math

import pytest
import torch

from flipbook.attacks import mi_fgsm
from flipbook.goals import HideLabels, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.seen import Seen

COMPARED = {"norm": "l2", "bound": 5.0, "step": 0.015, "max_iterations": 40, "loss": "labels"}


def test_one_label_of_an_affine_model_goes_down_a_straight_line():
    """Each step is a unit vector along -w, so the label is gone after z / (step |w|) steps."""
    model, x = random_affine(scale=0.5), mid_grey(4)
    z = model(x)
    label = z.argmax(dim=1)
    goal = HideLabels(torch.nn.functional.one_hot(label, 6))
    result = mi_fgsm(model, x, goal, **COMPARED | {"max_iterations": 300})
    w = model.W[label]
    steps = [math.ceil(float(a)) for a in z.amax(dim=1) / (0.015 * w.norm(dim=1))]
    assert result.iterations.tolist() == steps
    δ = (result.images - x).flatten(1)
    torch.testing.assert_close(δ, -0.015 * result.iterations[:, None] * w / w.norm(dim=1, keepdim=True))


def test_momentum_adds_gradients_of_unit_sum_and_never_forgets():
    model, x = SmallNet(), mid_grey(1)
    seen = Seen(model)
    present = (model(x) > 0).long()
    mi_fgsm(
        seen,
        x,
        TopKExcludes(present, 2),
        **COMPARED | {"step": 0.2, "bound": 0.5, "max_iterations": 4},
        stop_on_success=False,
    )
    δ, m = torch.zeros_like(x), torch.zeros_like(x)
    for shown in seen.batches[3:]:
        torch.testing.assert_close(shown, x + δ, atol=1e-12, rtol=0)
        at = (x + δ).requires_grad_()
        (g,) = torch.autograd.grad((model(at).sigmoid().log() * present).sum(), at)
        m = m + g / g.abs().sum()
        δ = δ - 0.2 * m / m.norm()
        δ = δ * min(1, 0.5 / float(δ.norm()))
        δ = (x + δ).clamp(0, 1) - x


def test_the_path_is_no_longer_than_its_steps():
    model, x = Seen(random_affine(scale=0.01)), mid_grey(1)
    mi_fgsm(model, x, HideLabels(torch.ones(1, 6)), **COMPARED, stop_on_success=False)
    norms = model.norms(x[0])
    assert len(norms) == 41
    assert float(norms[-1]) <= 40 * 0.015 + 1e-12
    assert float(norms[1]) == pytest.approx(0.015)


def test_images_that_stay_after_success_keep_their_smallest_one():
    model, x = random_affine(), mid_grey(3)
    goal = HideLabels(torch.nn.functional.one_hot(model(x).argmax(dim=1), 6))
    first, all_steps = (
        mi_fgsm(model, x, goal, **COMPARED, stop_on_success=stop_on_success, trace=("loss",))
        for stop_on_success in (True, False)
    )
    assert torch.equal(first.images, all_steps.images)
    assert (all_steps.backwards == 40).all()
    assert (first.backwards < 40).all()
    assert all_steps.trace["loss"].isfinite().all()
    assert first.trace["loss"].isnan().any()
