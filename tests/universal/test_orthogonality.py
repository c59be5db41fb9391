"""The pull towards orthogonal vectors against autograd."""

import torch

from flipbook.universal import orthogonality


def test_gradient_equals_autograd():
    U = torch.randn(4, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    unit = U / U.norm(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad((unit @ unit.T - torch.eye(4, dtype=torch.float64)).square().mean(), U)
    U = U.detach()
    torch.testing.assert_close(orthogonality.gradient(U), expected)
    torch.testing.assert_close(orthogonality.gradient(U, slice(2, 3)), expected[2:3])


def test_nothing_pulls_orthogonal_or_empty_vectors():
    assert (orthogonality.gradient(torch.eye(3, 9, dtype=torch.float64)) == 0).all()
    assert (orthogonality.gradient(torch.zeros(3, 9)) == 0).all()


def test_cosines():
    U = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=torch.float64)
    expected = torch.tensor([[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(orthogonality.cosines(U.view(3, 3, 1, 1)), expected)
    torch.testing.assert_close(orthogonality.cosines(U, -U[:2]), -expected[:, :2])
