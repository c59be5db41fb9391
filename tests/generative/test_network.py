"""The generator: any size of image, the bound bitwise, weights of the seed alone, no image minds its neighbours."""

import pytest
import torch

from flipbook.generative.generator import seeded
from flipbook.generative.network import ImageGenerator, Trained, bounded
from tests.generative.small import images


def fresh(seed=0, channels=3):
    net = seeded(lambda: ImageGenerator(channels, 4, 1), seed, torch.zeros(0))
    return Trained(net.eval().requires_grad_(False), 10 / 255, "GAMA-like")


@pytest.mark.parametrize("shape", [(3, 6, 6), (1, 28, 28), (3, 64, 64), (3, 15, 9)])
def test_any_image_size(shape):
    x = images(2, shape)
    made = fresh(channels=shape[0]).network(x)
    assert made.shape == x.shape
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bound_holds_bitwise_and_is_used(dtype):
    """Not only up to rounding: x ± ε itself can lie further than ε from x."""
    g = torch.Generator().manual_seed(1)
    x = torch.rand(8, 3, 40, 40, generator=g, dtype=dtype)
    ε = torch.tensor(10 / 255, dtype=dtype)
    assert (((x + ε) - x).abs() > ε).any()
    for made in (torch.zeros_like(x), torch.ones_like(x), torch.rand(x.shape, generator=g, dtype=dtype)):
        change = bounded(made, x, 10 / 255) - x
        assert change.abs().max() <= ε
        assert change.abs().max() > 0.999 * ε
        assert (x + change).min() >= 0
        assert (x + change).max() <= 1
    close = (x + ε / 2).clamp(0, 1)
    assert torch.equal(bounded(close, x, 10 / 255), close)


def test_what_is_clipped_has_no_gradient():
    x = torch.full((1, 1, 1, 3), 0.5)
    made = torch.tensor([0.5, 0.501, 0.9]).view_as(x).requires_grad_()
    (gradient,) = torch.autograd.grad(bounded(made, x, 0.01).sum(), made)
    assert gradient.flatten().tolist() == [1.0, 1.0, 0.0]


def test_weights_come_from_the_seed_alone():
    state = torch.get_rng_state()
    first, again, other = (fresh(seed).network.state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["body.0.weight"], other["body.0.weight"])


def test_an_image_does_not_mind_its_neighbours_nor_its_type():
    trained, x = fresh(), images(5)
    together = trained.perturb(x)
    for i in range(5):
        torch.testing.assert_close(trained.perturb(x[i : i + 1])[0], together[i], atol=1e-6, rtol=0)
    double = trained.perturb(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), together, atol=1e-6, rtol=0)
    assert trained.network.body[0].weight.dtype == torch.float32
