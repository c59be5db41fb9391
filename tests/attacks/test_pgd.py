"""PGD in MASW's form: steps of signs, on the L2 sphere as soon as they add up to the radius."""

import pytest
import torch

from flipbook.attacks import pgd
from flipbook.goals import HideLabels, TopKEquals
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.seen import Seen

COMPARED = {
    "norm": "l2",
    "bound": 5.0,
    "step": 0.005,
    "direction": "sign",
    "loss": "labels",
    "max_iterations": 300,
}


def test_two_steps_of_more_than_half_the_radius_end_on_the_sphere():
    model, x = Seen(random_affine(scale=0.001)), mid_grey(1)
    pgd(model, x, HideLabels(torch.eye(6)[:1]), **COMPARED | {"step": 0.06, "bound": 1.0, "max_iterations": 4})
    norms = model.norms(x[0]).tolist()
    assert norms == pytest.approx([0, 0.06 * 108**0.5, 1, 1, 1], rel=1e-6)


def test_an_affine_label_goes_down_by_the_sum_of_its_weights():
    """Each step lowers the logit by step · |w|_1, up to the radius: after so many steps it is gone."""
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    label = z.argmax(dim=1)
    result = pgd(model, x, HideLabels(torch.nn.functional.one_hot(label, 6)), **COMPARED | {"step": 0.001})
    w = model.W[label]
    expected = (z.amax(dim=1) / (0.001 * w.abs().sum(dim=1))).ceil().long()
    assert torch.equal(result.iterations, expected)
    torch.testing.assert_close(result.images, x - 0.001 * (expected[:, None] * w.sign()).view_as(x))


def test_targeted_steps_follow_both_sums():
    model, x = SmallNet(), mid_grey(1)
    seen = Seen(model)
    z = model(x)
    present, target = torch.zeros_like(z), torch.zeros_like(z)
    present[0, z.argmax()], target[0, z.argmin()] = 1, 1
    pgd(
        seen,
        x,
        TopKEquals(target, 1, present=present),
        **COMPARED | {"step": 0.01, "bound": 1.0, "max_iterations": 5},
        stop_on_success=False,
    )
    δ = torch.zeros_like(x)
    for shown in seen.batches[3:]:
        torch.testing.assert_close(shown, x + δ, atol=1e-12, rtol=0)
        at = (x + δ).requires_grad_()
        (g,) = torch.autograd.grad((model(at).sigmoid().log() * (present - target)).sum(), at)
        δ = δ - 0.01 * g.sign()
        δ = δ * min(1, 1 / float(δ.norm()))
