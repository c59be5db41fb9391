"""Descents for one image, as plainly as they can be written: lists, loops and one gradient a step.

Each function yields the images that the model is asked about, from the clean one on, until its goal is reached.
"""

import torch


def violations(z, own, k, chosen=()):
    """MASW's v, all below 0 when the goal is reached: the ranking's, then the sides of the threshold (section IV-B)."""
    rank_k = sorted((j for j in range(len(z)) if j not in own), key=lambda j: -float(z[j]))[k - 1]
    if chosen:
        unchosen = [j for j in range(len(z)) if j not in chosen]
        best, worst = (f(each, key=lambda j: float(z[j])) for f, each in ((max, unchosen), (min, chosen)))
        ranking = [z[best] - z[j] if j in chosen else z[j] - z[worst] for j in range(len(z))]
    else:
        ranking = [z[j] - z[rank_k] for j in own]
    return ranking, [z[j] for j in own if j not in chosen]


def loss_tkml(z, own, k, chosen):
    """Hu et al. 2021: the highest own label against the mean of the others, or hinges around the k-th logit."""
    order = sorted(range(len(z)), key=lambda j: float(z[j]))
    if not chosen:
        return max((z[j] for j in own), key=float) - sum(z[j] for j in order[: len(z) - k]) / (len(z) - k)
    kth = z[order[-k]]
    return sum(torch.relu(kth - z[j]) if j in chosen else torch.relu(z[j] - kth) for j in range(len(z)))


def loss_rank_i(z, own, k, chosen):
    """Song et al. 2018: the best label that is not to be there against the worst that is."""
    return torch.relu(
        max((z[j] for j in range(len(z)) if j not in chosen), key=float) - min((z[j] for j in chosen), key=float)
    )


def iterates(model, x0, loss, reached, steps, move):
    """From x0 on, x <- move(x, ∇loss), until the goal is reached or the steps are made."""
    x = x0
    for step in range(steps + 1):
        yield x
        pixels = x.clone().requires_grad_()
        z = model(pixels[None])[0]
        if step == steps or reached(z):
            return
        (g,) = torch.autograd.grad(loss(z), pixels)
        x = move(x, g)


def descend(model, x0, loss, reached, radius, rate, steps):
    """X <- box(ball(x - rate ∇loss))."""

    def move(x, g):
        δ = x - x0 - rate * g
        return (x0 + δ * min(1.0, radius / max(float(δ.norm()), 1e-12))).clamp(0, 1)

    return iterates(model, x0, loss, reached, steps, move)


def steepest(model, x0, loss, reached, *, norm, ε, size, steps, momentum=False):
    """Goodfellow et al. 2015 (one step), Madry et al. 2018, or with momentum Dong et al. 2018."""
    m = torch.zeros_like(x0)

    def move(x, g):
        nonlocal m
        if momentum:
            g = m = m + g / g.abs().sum()
        δ = x - x0 - size * (g.sign() if norm == "linf" else g / g.norm())
        δ = δ.clamp(-ε, ε) if norm == "linf" else δ * min(1.0, ε / float(δ.norm()))
        return (x0 + δ).clamp(0, 1)

    return iterates(model, x0, loss, reached, steps, move)


def masw(model, x0, own, k, chosen, *, λ, η, ε0, radius, rate, steps, squared=False, margin=0.0):
    """Algorithm 1 with its slack in closed form: weights of the step before, of mean 1 over violated constraints."""
    state = {"w": None, "ε": ε0, "before": ε0, "lowest": float("inf")}

    def reached(z):
        return all(float(v) < 0 for part in violations(z, own, k, chosen) for v in part)

    def loss(z):
        ranking, sides = violations(z, own, k, chosen)
        ζ = [torch.relu(margin + v) for v in (*ranking, *sides)]
        λs = [λ[0]] * len(ranking) + [λ[1]] * len(sides)
        w = state["w"] or [1.0] * len(ζ)
        violated = [float(each) > 0 for each in ζ]
        part = [each**2 / 2 if squared else each for each in ζ]
        L = sum(a * b * float(c) for a, b, c in zip(λs, w, part, strict=True))
        if state["lowest"] > L:
            state["before"], state["ε"], state["lowest"] = state["ε"], η * state["ε"], L
        else:
            state["ε"] = (state["ε"] + state["before"]) / 2
        mean = sum(a for a, v in zip(w, violated, strict=True) if v) / max(1, sum(violated))
        state["w"] = [state["ε"] / max(float(each), state["ε"]) for each in ζ]  # Eq. 24
        return sum(a * b / mean * c for a, b, c in zip(λs, w, part, strict=True))

    return descend(model, x0, loss, reached, radius, rate, steps)


def lots(model, x0, τ, reached, step, steps):
    """Rozsa et al. 2017 on grey levels: round, then move the largest gradient entry by `step`."""

    def move(x, g):
        return ((x * 255).round() / 255 - step * g / g.abs().max()).clamp(0, 1)

    return iterates(model, x0, lambda z: (τ - z).square().sum() / 2, reached, steps, move)
