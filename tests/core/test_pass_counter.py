"""The pass counter agrees with counting by hand."""

import torch

from flipbook.core.gradients import directional, row_gradients
from flipbook.core.pass_counter import PassCounter
from tests.affine import SmallNet, mid_grey, random_affine


def test_counts_follow_the_images_in_focus():
    x = mid_grey(4).requires_grad_()
    net = PassCounter(random_affine(), x)
    with torch.no_grad():
        net(x)
    net.focus(torch.tensor([1, 3]))(x[[1, 3]]).sum().backward()
    net.focus(torch.tensor([3]))(x[[3]])
    assert net.forwards.tolist() == [1, 2, 1, 3]
    assert net.backwards.tolist() == [0, 1, 0, 1]
    assert net.total.tolist() == [1, 3, 1, 4]


def test_candidates_are_counted_for_the_images_in_focus():
    x = mid_grey(3)
    net = PassCounter(random_affine(), x)
    net(x)
    net.focus(torch.tensor([0, 2])).model(x[[0, 2]].repeat_interleave(5, dim=0))
    net.add_forwards(5)
    assert net.forwards.tolist() == [6, 1, 6]
    assert net.backwards.tolist() == [0, 0, 0]


def test_rows_cost_one_backward_pass_each_in_both_ways():
    model, rows = SmallNet(), torch.randn(4, 5, 6, dtype=torch.float64)
    results = []
    for batched in (False, True):
        x = mid_grey(4).requires_grad_()
        net = PassCounter(model, x)
        results.append(row_gradients(net, net(x), x, rows, batched))
        assert net.backwards.tolist() == [5] * 4
    torch.testing.assert_close(*results)


def test_rows_are_products_with_the_jacobian():
    model, rows = SmallNet(), torch.randn(3, 2, 6, dtype=torch.float64)
    x = mid_grey(3)
    J = torch.stack([torch.func.jacrev(lambda v: model(v[None])[0])(image) for image in x]).flatten(2)
    pixels = x.clone().requires_grad_()
    net = PassCounter(model, pixels)
    logits = net(pixels)
    torch.testing.assert_close(row_gradients(net, logits, pixels, rows).flatten(2), rows @ J)
    δ = torch.randn_like(x)
    pushed = directional(net, logits, pixels, δ)
    torch.testing.assert_close(pushed, (J @ δ.flatten(1)[:, :, None]).squeeze(2))
    assert net.backwards.tolist() == [4] * 3


def test_the_model_is_left_as_it_was():
    model = SmallNet()
    x = mid_grey(2).requires_grad_()
    PassCounter(model, x)(x).sum().backward()
    assert not model._forward_hooks
    assert not model._backward_hooks
