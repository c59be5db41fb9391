"""Auto-PGD for one image as its paper words it (Algorithm 1, section 3.2): slow, and written apart from the library."""

from itertools import pairwise

import torch

CHECKS = (22, 41, 57, 70, 80, 87, 93, 99)  # p = 0, 0.22, then p + max(last increase - 0.03, 0.06), in steps of N = 100


def auto_pgd(model, x0, objective, ε, α=0.75):
    """Maximise objective(logits) for 100 steps; return the iterates x(0) to x(100), each (1, channels, H, W)."""

    def look(x):
        x = x.clone().requires_grad_()
        f = objective(model(x)[0])
        f.backward()
        return f.item(), x.grad.sign()

    def project(x):
        return torch.minimum(torch.maximum(x, x0 - ε), x0 + ε).clamp(0, 1)

    η, x, before = 2 * ε, x0, x0
    f, D = look(x)
    best = (f, x, D)
    path, values, last_check, halved, best_then = [x], [f], 0, True, f
    for step in range(1, 101):
        a = 1 if step == 1 else α
        z = project(x + η * D)
        x, before = project(x + a * (z - x) + (1 - a) * (x - before)), x
        f, D = look(x)
        path.append(x)
        values.append(f)
        if f > best[0]:
            best = (f, x, D)
        if step in CHECKS:
            window = values[last_check : step + 1]
            rises = sum(later > earlier for earlier, later in pairwise(window))
            few = rises <= 0.75 * (step - last_check)
            still = not halved and best[0] == best_then
            halved, best_then, last_check = few or still, best[0], step
            if halved:
                η /= 2
                _, x, D = best
    return path
