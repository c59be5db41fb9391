"""MADW as it attacks, for one image and as plainly as can be: damped least squares on the violated constraints."""

import torch

from tests.attacks.plain_descents import violations


def madw(model, x0, own, k, chosen, *, λ, η, ε0, f_in, f_de, damping, margin, radius, steps):
    """Algorithm S.1 on v + margin <= 0; yields the images that are looked at, from the clean one on.

    A step solves (JᵀWJ + λ_D s) δ = -JᵀW ζ with s the mean of λ w |∇v|² over the violated constraints.
    """
    x, ε, before, lowest, w = x0, ε0, ε0, None, None
    for step in range(steps + 1):
        yield x
        pixels = x.clone().requires_grad_()
        ranking, sides = violations(model(pixels[None])[0], own, k, chosen)
        v = [*ranking, *sides]
        if step == steps or all(float(each) < 0 for each in v):
            return
        ζ = [max(0.0, margin + float(each)) for each in v]
        λs = [λ[0]] * len(ranking) + [λ[1]] * len(sides)
        L = sum(a * b * c**2 for a, b, c in zip(λs, w or [1.0] * len(v), ζ, strict=True)) / 2
        if lowest is None:
            lowest, w = L, [1.0] * len(v)
        else:
            if lowest > L:
                before, ε, lowest, damping = ε, η * ε, L, damping / f_de
            else:
                ε, damping = (ε + before) / 2, damping * f_in
        violated = [i for i in range(len(v)) if ζ[i] > 0]
        J = torch.stack([torch.autograd.grad(v[i], pixels, retain_graph=True)[0].flatten() for i in violated])
        used = w if step == 0 else [ε / max(each, ε) for each in ζ]
        W = torch.diag(torch.tensor([λs[i] * used[i] for i in violated], dtype=torch.float64))
        r = torch.tensor([ζ[i] for i in violated], dtype=torch.float64)
        scale = (W.diagonal() * J.square().sum(dim=1)).mean()
        δ = torch.linalg.solve(J.T @ W @ J + damping * scale * torch.eye(J.shape[1]).double(), -J.T @ W @ r)
        w = used
        moved = x - x0 + δ.view_as(x0)
        x = (x0 + moved * min(1.0, radius / float(moved.norm()))).clamp(0, 1)
