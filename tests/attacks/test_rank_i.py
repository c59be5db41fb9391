"""Rank I: the hinge of the worst pair, in closed form for two labels."""

import torch

from flipbook.attacks import rank_i
from flipbook.goals import ClassTarget, TopKEquals
from tests.affine import SmallNet, mid_grey, random_affine


def test_the_loss_is_the_hinge_of_the_worst_pair():
    model, x = SmallNet(), mid_grey(5)
    z = model(x)
    target = torch.zeros_like(z, dtype=torch.bool).scatter(1, z.argsort(dim=1)[:, :2], True)
    result = rank_i(model, x, TopKEquals(target, 2, present=~target), max_iterations=1, trace=("loss",))
    worst = z.masked_fill(target, -torch.inf).amax(dim=1) - z.masked_fill(~target, torch.inf).amin(dim=1)
    torch.testing.assert_close(result.trace["loss"][:, 0], worst)
    assert (worst > 0).all()


def test_two_labels_of_an_affine_model_swap_after_a_known_number_of_steps():
    """Each step closes the gap by lr · |w_i - w_t|²."""
    model, x = random_affine(outputs=2), mid_grey(4)
    z = model(x)
    target = torch.nn.functional.one_hot(z.argmin(dim=1), 2)
    result = rank_i(model, x, TopKEquals(target, 1, present=1 - target), learning_rate=1e-3)
    d = model.W[0] - model.W[1]
    gap = (z[:, 0] - z[:, 1]).abs()
    assert torch.equal(result.iterations, (gap / (1e-3 * d @ d)).floor().long() + 1)
    assert result.reached.all()
    way = (target[:, :1] * 2 - 1) * d
    torch.testing.assert_close(result.images, x + 1e-3 * (result.iterations[:, None] * way).view_as(x))


def test_a_class_target_is_a_top_one_target():
    model, x = SmallNet(), mid_grey(5)
    wanted = model(x).argmin(dim=1)
    target = torch.nn.functional.one_hot(wanted, 6)
    a = rank_i(model, x, TopKEquals(target, 1, present=1 - target), max_iterations=50, learning_rate=0.01)
    b = rank_i(model, x, ClassTarget(wanted), max_iterations=50, learning_rate=0.01)
    assert a.reached.any()
    torch.testing.assert_close(a.images, b.images)


def test_an_image_without_loss_stands_still():
    model, x = random_affine(outputs=2), mid_grey(2)
    target = torch.nn.functional.one_hot(model(x).argmin(dim=1), 2)
    options = {"learning_rate": 0.01, "max_iterations": 60, "trace": ("loss",)}
    first, stays = (
        rank_i(model, x, TopKEquals(target, 1, present=1 - target), stop_on_success=stop_on_success, **options)
        for stop_on_success in (True, False)
    )
    assert torch.equal(first.images, stays.images)
    assert (stays.backwards == 60).all()
    assert (stays.trace["loss"][:, -1] == 0).all()
