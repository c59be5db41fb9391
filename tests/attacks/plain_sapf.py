"""SAPF for one pair, as the paper's equations and the remarks on its code word it: loops, autograd, no shortcuts."""

import math

import torch


def plain_sapf(model, image, loss, success, k, λ, solves, rounds, T, scaled=False):
    """Attack one image (channels, H, W).

    Return the nearest success or None, its place in the schedule, the passes up to the first success, and each solve's
    λ1 and whether it succeeded.
    """
    low, high, best, length, place, first, passes, history = 0.0, math.inf, None, math.inf, 0, -1, 1, []
    for _ in range(solves):
        succeeded = False
        for at, x, z, made in _iterates(model, image, loss, k, λ, rounds, T, scaled):
            if not success(z):
                continue
            succeeded = True
            first = passes + made if first < 0 else first
            if float((x - image).norm()) < length:
                best, length, place = x, float((x - image).norm()), at
        passes += 2 * (2 * rounds * T + math.ceil(T / 2)) + 1
        history.append((λ, succeeded))
        low, high = (low, min(high, λ)) if succeeded else (max(low, λ), high)
        λ = 10 * λ if math.isinf(high) else (low + high) / 2
    return best, place, first, history


def _iterates(model, image, loss, k, λ, rounds, T, scaled):
    """All iterates of the refit of one solve: place, image, logits, passes made in the solve up to its logits."""
    N = image.numel()
    δ, G, η_δ, η_G = torch.zeros_like(image), torch.ones_like(image), 0.1, 0.1
    ρ, caps = [5e-3, 5e-3, 1e-4 * 3072 / N], (20, 20, 0.01 * 3072 / N)
    decay, growth = max(1, T // 40), 1.01 ** (2000 / T)
    steps_δ = steps_G = 0

    def forward(δ, G):
        δ, G = δ.clone().requires_grad_(), G.clone().requires_grad_()
        u = image + δ * G
        x = torch.where((u < 0) | (u > 1), u.detach().clamp(0, 1), u)  # black and white themselves pass the gradient
        z = model(x[None])
        return x.detach(), z.detach(), torch.autograd.grad(λ * loss(z).sum(), (δ, G))

    for _ in range(rounds):
        for _ in range(T):
            _, _, (gδ, _) = forward(δ, G)
            δ = δ - η_δ * (2 * δ * G**2 + gδ)
            steps_δ += 1
            η_δ = max(0.9 * η_δ, 1e-3) if steps_δ % decay == 0 else η_δ
        Z1, Z2, z3 = torch.zeros_like(G), torch.zeros_like(G), 0.0
        s = min(0.01 / float(δ.square().mean()), 5 / float(δ.square().max())) if scaled else 1.0
        for _ in range(T):
            _, _, (_, gG) = forward(δ, G)
            Y1 = (G + Z1 / ρ[0]).clamp(0, 1)
            a = G + Z2 / ρ[1] - 0.5
            Y2 = 0.5 + math.sqrt(N) / 2 * a / a.norm()
            data = s * (2 * δ**2 * G + gG)
            G = G - η_G * (data + ρ[0] * (G - Y1) + ρ[1] * (G - Y2) + Z1 + Z2 + z3 + ρ[2] * (G.sum() - k))
            Z1, Z2, z3 = Z1 + ρ[0] * (G - Y1), Z2 + ρ[1] * (G - Y2), z3 + ρ[2] * (G.sum() - k)
            ρ = [min(growth * r, cap) for r, cap in zip(ρ, caps, strict=True)]
            steps_G += 1
            η_G = max(0.9 * η_G, 1e-3) if steps_G % decay == 0 else η_G
    order = G.flatten().argsort(descending=True, stable=True)
    G = torch.zeros_like(G).flatten().index_fill(0, order[:k], 1.0).view_as(G)
    before = steps_δ + steps_G
    for t in range(math.ceil(T / 2) + 1):
        x, z, (gδ, _) = forward(δ, G)
        yield before + t, x, z, 2 * (before + t) + 1
        δ = δ - η_δ * (2 * δ * G**2 + gδ)
        steps_δ += 1
        η_δ = max(0.9 * η_δ, 1e-3) if steps_δ % decay == 0 else η_δ
