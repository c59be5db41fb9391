"""Auto-PGD and the GMLA family for one image, step by step: slow, and written apart from the library."""

from itertools import pairwise

import torch


def cross_entropy(z, wanted):
    """Binary cross-entropy of one image's logits to the wanted labels, one number a label."""
    p = torch.sigmoid(z)
    return -(wanted * p.log() + (1 - wanted) * (1 - p).log())


def gradient(model, x, wanted, labels):
    x = x.clone().requires_grad_()
    cross_entropy(model(x)[0], wanted)[labels].sum().backward()
    return -x.grad


def direction(model, x, wanted, T, variant, tau):
    g1, g2 = gradient(model, x, wanted, T), gradient(model, x, wanted, ~T)
    if variant == "alpha":
        return g1.sign()
    if variant == "beta":
        return (g1 + g2).sign()
    u1, u2 = g1 / (g1.norm() + 1e-9), g2 / (g2.norm() + 1e-9)
    if (u1 * u2).sum() > tau:
        return (u1 + u2).sign()
    nu = u1.sign()
    P = nu - (nu * u2).sum() * u2
    return P / P.abs().max()


def attack(model, x0, wanted, T, done, *, variant, tau, bound, steps, step, momentum=0.75):
    """Return the first image that is `done(logits)` with its step number, or None; x0 is (1, channels, H, W)."""

    def project(x):
        return torch.minimum(torch.maximum(x, x0 - bound), x0 + bound).clamp(0, 1)

    def value(x):
        with torch.no_grad():
            return -float(cross_entropy(model(x)[0], wanted).sum())

    k, k_min, k_dec = max(int(0.22 * steps), 1), max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    x, x_old, s = x0, x0, step
    D = direction(model, x, wanted, T, variant, tau)
    f_best, x_best, D_best = value(x), x, D
    f_best_then, reduced, counter, history = f_best, True, 0, []
    for i in range(steps):
        a = 1.0 if i == 0 else momentum
        z = project(x + s * D)
        x, x_old = project(x + a * (z - x) + (1 - a) * (x - x_old)), x
        if done(model(x)):
            return x, i + 1
        D, f = direction(model, x, wanted, T, variant, tau), value(x)
        history.append(f)
        if f > f_best:
            f_best, x_best, D_best = f, x, D
        counter += 1
        if counter == k:
            last = history[-k - 1 :] if len(history) > k else history
            ups = sum(b > a for a, b in pairwise(last))
            halve = ups <= 0.75 * k or (not reduced and f_best == f_best_then)
            if halve:
                s, x, D = s / 2, x_best, D_best
            reduced, f_best_then, counter = halve, f_best, 0
            for _ in range(2):
                k = max(k - k_dec, k_min)
    return None
