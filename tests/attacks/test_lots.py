"""LOTS: the step on grey levels, the stop at the first success, and the mean logits of examples."""

import pytest
import torch

from flipbook.attacks.lots import lots
from flipbook.goals import LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine


def test_one_step_by_hand():
    """From grey level 128.4 the image is rounded to 128 and moves by one level where the gradient is largest."""
    model = Affine(torch.tensor([[-2.0, 0.5, 0.0]]), torch.tensor([0.0])).eval()
    x = torch.full((1, 3, 1, 1), 128.4 / 255, dtype=torch.float64)
    z = model(x)
    model.b = -z[0] + 0.003  # on by less than the step changes
    result = lots(model, x, LabelVector(torch.tensor([[0]])), target_logits=torch.tensor([[-1.0]]).double())
    expected = torch.tensor([128 + 1.0, 128 - 0.25, 128.0]).double().view(1, 3, 1, 1) / 255
    torch.testing.assert_close(result.images, expected, atol=1e-12, rtol=0)
    assert result.iterations.tolist() == [1]
    assert (result.forwards.tolist(), result.backwards.tolist()) == ([3], [2])
    assert result.first_success.tolist() == [4]


def test_stops_at_the_first_success_and_no_later():
    model, x = SmallNet(), mid_grey(5)
    target = model(x) > 0
    target[:, 1] ^= True
    goal, τ = LabelVector(target), torch.where(target, 2.0, -2.0).double()
    result = lots(model, x, goal, target_logits=τ)
    assert result.reached.all()
    for n in range(5):
        v = int(result.iterations[n])
        assert v > 1
        assert not lots(model, x[n : n + 1], goal[n : n + 1], target_logits=τ[n : n + 1], max_iterations=v - 1).reached
        exact = lots(model, x[n : n + 1], goal[n : n + 1], target_logits=τ[n : n + 1], max_iterations=v)
        torch.testing.assert_close(exact.images[0], result.images[n], atol=1e-9, rtol=0)
    longest = ((result.images - x).abs().flatten(1).amax(dim=1) * 255 - 0.5) / result.iterations
    assert (longest <= 1 + 1e-9).all()  # one level a step, and half a level of rounding


def test_no_gradient_no_harm():
    """Target logits that the image already has, and a goal that they do not reach."""
    model, x = random_affine(), mid_grey(2)
    z = model(x)
    result = lots(model, x, LabelVector(z < 0), target_logits=z, max_iterations=3)
    assert not result.reached.any()
    assert torch.isfinite(result.images).all()


@pytest.mark.parametrize(
    ("target_logits", "message"),
    [
        (torch.zeros(2, 5), r"has shape \(2, 5\), the model gives \(2, 6\)"),
        (torch.zeros(3, 6), r"has shape \(3, 6\), the model gives \(2, 6\)"),
        (torch.full((2, 6), torch.nan), "NaN or infinite"),
    ],
)
def test_target_logits_that_do_not_fit(target_logits, message):
    model, x = random_affine(), mid_grey(2)
    with pytest.raises(ValueError, match=message):
        lots(model, x, LabelVector(model(x) < 0), target_logits=target_logits)
