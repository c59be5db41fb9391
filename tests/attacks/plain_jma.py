"""JMA for one image as its Algorithm 1 has it: all constraints, a non-negative least-squares solver from scipy."""

import numpy as np
import scipy.optimize
import torch


def constraints(z, wanted=None, target=None):
    """Rows A and offsets b of A d + b >= 0: a side for each label (section V-B), or a lead over each class (Eq. 10)."""
    if wanted is not None:
        y = torch.where(wanted, 1.0, -1.0).double()
        return torch.diag(y), y * z
    others = [i for i in range(len(z)) if i != target]
    A = torch.zeros(len(others), len(z), dtype=torch.float64)
    for row, i in enumerate(others):
        A[row, target], A[row, i] = 1.0, -1.0
    return A, A @ z


def shortest(D, b):
    """The shortest δ with D δ + b >= 0 (Eqs. 23 and 24)."""
    L = np.linalg.cholesky((D @ D.T).numpy())
    λ, _ = scipy.optimize.nnls(L.T, -np.linalg.solve(L, b.numpy()))
    return D.T @ torch.from_numpy(λ)


def plain_jma(model, x0, reached, *, step, max_iterations, search_steps, kappa, **goal):
    """Return the attacked image or None, and how many linearisations were made."""
    x = x0
    for v in range(1, max_iterations + 1):
        pixels = x.clone().requires_grad_()
        z = model(pixels[None])[0]
        J = torch.stack([torch.autograd.grad(each, pixels, retain_graph=True)[0].flatten() for each in z])
        A, b = constraints(z.detach(), **goal)
        δ = shortest(A @ J, b - kappa).view_as(x)
        if reached((x + δ).clamp(0, 1)):
            low, high = 0.0, 1.0
            for _ in range(search_steps):
                middle = (low + high) / 2
                low, high = (low, middle) if reached((x + middle * δ).clamp(0, 1)) else (middle, high)
            return (x + high * δ).clamp(0, 1), v
        x = (x + step * δ / δ.norm()).clamp(0, 1)
    return None, max_iterations
