"""MLA-LP for one image, as plainly as it can be written: one label after the other, no batch, no masks."""

import math

import torch

from flipbook.solvers.minimax_step import minimax_step


def plain_mla_lp(model, image, wanted, *, rule, max_iterations, least=0.1, by=0.05):
    """Go on from one image (channels, H, W) towards `wanted`, a list with the side of every label.

    Returns the images tried, in order, and the best one: most labels right, then shortest.
    """
    clean, x = image, image
    p_clean = model(image[None])[0].sigmoid().tolist()
    thresholds = [0.5] * len(wanted)
    right_at_best = sum((p > 0.5) == w for p, w in zip(p_clean, wanted, strict=True))
    tried, best, best_key = [], clean, (-right_at_best, 0.0)
    for _ in range(max_iterations):
        pixels = x.clone().requires_grad_()
        p = model(pixels[None])[0].sigmoid().clamp(1e-6, 1 - 1e-6)
        gradients, room = [], []
        for j, on in enumerate(wanted):
            loss = -torch.log(p[j]) if on else -torch.log(1 - p[j])
            (g,) = torch.autograd.grad(loss, pixels, retain_graph=True)
            gradients.append(g.flatten())
            target = -math.log(thresholds[j]) if on else -math.log(1 - thresholds[j])
            room.append(target - loss.item())
        step, size = minimax_step(torch.stack(gradients).numpy(), torch.tensor(room).double().numpy())
        new = (x + torch.from_numpy(step).view_as(x)).clamp(0, 1)
        tried.append(new)
        p_new = model(new[None])[0].sigmoid().tolist()
        right = sum((q > 0.5) == w for q, w in zip(p_new, wanted, strict=True))
        key = (-right, float((new - clean).norm()))
        if key < best_key:
            best, best_key = new, key
        if right == len(wanted) or math.isinf(size):
            break
        before = list(thresholds)
        if rule == "each":
            for j, on in enumerate(wanted):
                was_wrong, is_wrong = (p_clean[j] > 0.5) != on, (p_new[j] > 0.5) != on
                if was_wrong and is_wrong:
                    thresholds[j] += by if on else -by
        elif all(q < 0.6 for q in p_new) or all(q >= c for q, c in zip(p_new, p_clean, strict=True)):
            thresholds = [th - by for th in thresholds]
        thresholds = [min(max(th, least), 1 - least) if rule == "each" else max(th, least) for th in thresholds]
        if torch.equal(model(new[None]), model(x[None])) and thresholds == before:
            break
        x = clean if right < right_at_best else new
        right_at_best = max(right_at_best, right)
    return tried, best
