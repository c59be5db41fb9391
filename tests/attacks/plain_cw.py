"""C&W's search in plain words: one image, one loop, torch's own Adam. The slow reference."""

import math

import torch


def plain_search(model, image, penalty, success, λ, runs, max_iterations, learning_rate):
    """Attack one image (channels, H, W).

    Return the nearest success, its 1-based index in its run, the passes up to the first success, and all runs' lengths.
    """
    x0, low, high = image[None], 0.0, math.inf
    nearest, norm, index, first, lengths = None, math.inf, 0, -1, []
    for _ in range(runs):
        w = ((2 * x0 - 1) * 0.999999).atanh().requires_grad_()
        adam = torch.optim.Adam([w], lr=learning_rate)
        previous, succeeded = math.inf, False
        for t in range(max_iterations):
            x = (w.tanh() + 1) / 2
            z = model(x)
            loss = (x - x0).square().sum() + λ * penalty(z).sum()
            length = float((x - x0).detach().norm())
            if success(z):
                succeeded = True
                first = 2 * (sum(lengths) + t) + 2 if first < 0 else first
                if length < norm:
                    nearest, norm, index = x.detach()[0], length, t + 1
            if t % math.ceil(max_iterations / 10) == 0:
                if loss > 0.9999 * previous:
                    break
                previous = float(loss.detach())
            adam.zero_grad()
            loss.backward()
            adam.step()
        lengths.append(t + 1)
        low, high = (low, λ) if succeeded else (λ, high)
        λ = 10 * λ if math.isinf(high) else (low + high) / 2
    return nearest, index, first, lengths
