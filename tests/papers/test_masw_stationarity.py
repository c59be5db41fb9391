"""MADW as its supplement prints it: (S.12) and its slopes, and that it does not attack."""

import torch
from torch import nn

from companion.papers.masw import stationarity
from companion.papers.masw.stationarity import BACKWARDS, madw_printed
from flipbook.attacks import madw
from flipbook.core.pass_counter import PassCounter
from flipbook.goals import LabelVector
from tests.affine import SmallNet, random_affine
from tests.attacks.cases import images_and_goal


class Quadratic(nn.Module):
    """Logits z_j = W_j x + ½ xᵀ H_j x + b_j, whose Jacobian and Hessians are known."""

    def __init__(self, pixels=4, outputs=3, seed=0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.W = torch.randn(outputs, pixels, generator=g, dtype=torch.float64)
        H = torch.randn(outputs, pixels, pixels, generator=g, dtype=torch.float64)
        self.H = H + H.transpose(1, 2)
        self.eval()

    def forward(self, x):
        x = x.flatten(1)
        return x @ self.W.T + 0.5 * torch.einsum("np,jpq,nq->nj", x, self.H, x) - 1

    def jacobian(self, x):
        return self.W + self.H @ x


def test_the_printed_scalar_and_its_slopes():
    """(S.12) from the known derivatives, and its slopes in all four variables with ζ and w held."""
    model, g = Quadratic(), torch.Generator().manual_seed(1)
    shapes = ((1, 1, 2, 2), (1, 1, 2, 2), (1, 1, 2, 2), (1, 3), (1, 1), (1, 3))
    x, z, η, v, ς, w = (torch.rand(shape, generator=g, dtype=torch.float64) for shape in shapes)
    goal = LabelVector(torch.tensor([[1, 0, 1]]))
    net = PassCounter(model, x)
    L, slopes, logits, ζ = stationarity._stationarity(net, x, z, v, η, ς, goal, w)
    y = goal.signs[0].double()
    variables = [each.clone().flatten().requires_grad_() for each in (z, v, η, ς)]
    x_ = x.flatten().clone().requires_grad_()
    J = y[:, None] * model.jacobian(x_)
    hessian = torch.einsum("j,jpq->pq", ζ[0] * w[0] * y, model.H)
    residual = J.T @ (variables[1] * w[0] * (J @ variables[2])) + hessian @ variables[2] - variables[3] * variables[0]
    expected = residual.square().sum() / 2
    dx, *wanted = torch.autograd.grad(expected, [x_, *variables])
    wanted[0] = wanted[0] + dx
    torch.testing.assert_close(L[0], expected.detach())
    for slope, each in zip(slopes, wanted, strict=True):
        torch.testing.assert_close(slope.flatten(), each)
    torch.testing.assert_close(ζ, (-goal.margins(logits)).clamp(min=0))
    assert (int(net.forwards), int(net.backwards)) == (1, BACKWARDS)


def test_the_printed_form_solves_its_equation_and_does_not_attack():
    model = SmallNet()
    x, goal = images_and_goal(model, "excluded")
    goal = goal._with({"hide": True})
    scalar = madw_printed(model, x, goal, max_iterations=60, trace=("lagrangian",))
    at_work = torch.arange(6) != 2
    L = scalar.trace["lagrangian"][at_work]
    assert (L[:, -1] < 0.2 * L[:, 0]).all()
    assert not scalar.reached[at_work].any()
    assert madw(model, x, goal).reached.all()


def test_the_printed_form_keeps_images_apart_and_works_on_affine_models():
    for model in (SmallNet(), random_affine()):
        x, goal = images_and_goal(model, "excluded")
        together = madw_printed(model, x, goal, max_iterations=5, stop_on_success=False)
        for i in range(6):
            alone = madw_printed(model, x[i : i + 1], goal[i : i + 1], max_iterations=5, stop_on_success=False)
            torch.testing.assert_close(together.images[i], alone.images[0], atol=1e-9, rtol=0)
            assert alone.backwards[0] == together.backwards[i]
        assert together.backwards[0] == 6 * BACKWARDS
        assert len(madw_printed(model, x[:0], goal[:0])) == 0


def test_the_rank_one_step_is_the_damped_inverse():
    """Eq. (S.15) for a scalar: -(g gᵀ + λ I)⁻¹ g L."""
    g, L, λ = torch.randn(3, 11).double(), torch.rand(3).double(), torch.tensor([0.01, 1.0, 50.0]).double()
    step = stationarity._step(L, g, λ)
    for i in range(3):
        inverse = torch.linalg.inv(g[i][:, None] @ g[i][None] + λ[i] * torch.eye(11).double())
        torch.testing.assert_close(step[i], -inverse @ g[i] * L[i], rtol=1e-9, atol=1e-12)
