"""StrAttack as its paper and the SAPF card's section 4.6 word it: one image, one loop, duals u, v, s. The reference."""

import numpy as np
import torch


def plain_strattack(model, x0, goal, *, c, lengths, ρ, τ, γ, α, group, refine_c, refinements, quantile):
    """Attack x0 (1, channels, H, W) in float64.

    Return the nearest success's change or None, its norm, and how many iterations there were up to it.
    """
    best = {"change": None, "norm": np.inf, "iteration": 0}
    counter = 0

    def hinge(change):
        change = change.clone().requires_grad_()
        loss = torch.relu(-goal.margins(model(x0 + change)).min())
        loss.backward()
        return change.grad

    def test(change):
        if not bool(goal.reached(model(x0 + change))):
            return False
        if float(change.norm()) < best["norm"]:
            best.update(change=change, norm=float(change.norm()), iteration=counter)
        return True

    inside = (torch.maximum(-x0, torch.tensor(-0.5)), torch.minimum(1 - x0, torch.tensor(0.5)))
    low, high = 0.0, None
    for length in lengths:
        z = torch.zeros_like(x0)
        u, v, s = torch.zeros_like(x0), torch.zeros_like(x0), torch.zeros_like(x0)
        found = False
        for i in range(1, length + 1):
            counter += 1
            δ = ρ / (ρ + 2 * γ) * (z - u)
            w = torch.minimum(torch.maximum(z - s, inside[0]), inside[1])
            y = soft_threshold(z - v, group, τ / ρ)
            η = α * i**0.5
            pull = 2 * ρ * (δ + u) + ρ * (w + s) + ρ * (y + v)
            z = (η * z + pull - c * hinge(z)) / (η + 4 * ρ)
            u, v, s = u + δ - z, v + y - z, s + w - z
            found |= test((x0 + y).clamp(0, 1) - x0)
        c, low, high = next_constant(c, low, high, found)
    if best["change"] is None:
        return best
    c, low, high = refine_c, 0.0, None
    for length in refinements:
        z, u, found = best["change"].clone(), torch.zeros_like(x0), False
        threshold = np.quantile(z[z != 0].abs().numpy(), quantile)
        for _ in range(length):
            counter += 1
            frozen = best["change"].abs() <= threshold  # the record's entries, which shrink
            δ = torch.minimum(torch.maximum(ρ / (ρ + γ / 100) * (z - u), inside[0]), inside[1])
            δ[frozen] = 0
            found |= test(δ)
            z = (α * z + ρ * (δ + u) - c * hinge(δ)) / (α + 2 * ρ)
            z[frozen] = 0
            u = u + δ - z
        c, low, high = next_constant(c, low, high, found)
    return best


def soft_threshold(a, group, threshold):
    """Shorten every block of group x group pixels, all channels."""
    out = a.clone()
    for i in range(0, a.shape[2], group):
        for j in range(0, a.shape[3], group):
            block = out[:, :, i : i + group, j : j + group]
            length = float(block.norm())
            block *= max(0.0, 1 - threshold / length) if length > 0 else 0.0
    return out


def next_constant(c, low, high, found):
    low, high = (low, c) if found else (max(low, c), high)
    return (5 * c if high is None else (low + high) / 2), low, high
