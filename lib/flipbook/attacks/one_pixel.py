"""One-Pixel: differential evolution of the place and colour of one pixel (Su, Vargas and Sakurai 2019)."""

import torch
from torch import Tensor

from flipbook.attacks.engines.candidates import cells_at_once, painted, tiles
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.losses import cross_entropy
from flipbook.core.attack_result import AttackResult
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, normal, uniform
from flipbook.core.validation import check_counts, check_inputs, check_positive
from flipbook.goals import Goal


@torch.no_grad()
@attack
def one_pixel(
    model,
    images: Tensor,
    goal: Goal,
    *,
    pixels: int = 1,
    population: int = 400,
    generations: int = 100,
    factor: float = 0.5,
    seed: int = 0,
    chunk: int | None = None,
) -> AttackResult:
    """Maximise the goal's probability over pixels (row, column, colour) by DE/rand/1:  v = a + F (b - c).

    A child replaces its parent where it is fitter. An image is done with the first generation that holds a success.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode. No gradient is asked of it.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any: fitness is 1 / (1 + Σ exp(-margin)), the softmax probability of a target class.
    pixels : int
        How many pixels change.
    population : int
        Candidates of a generation.
    generations : int
        Most generations after the first population.
    factor : float
        F, the differential weight.
    seed : int
        Another seed gives other random numbers. Those of an image depend on its content and on nothing else.
    chunk : int, optional
        Most candidates that pass through the model at once, by default 64 on a CPU and 512 elsewhere. Decides on memory
        and speed only.

    Returns
    -------
    AttackResult
        Of the successes of the generation that holds the first one, the one of smallest L2 norm. `iterations` is the
        generation's number; the first population is number 0. Passes: 1 forward to look at the clean images, and
        `population` forwards for the first population and for each generation.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    First places are uniform, first colours N(128, 127) / 255; both are clipped, also after each mutation, and places
    are rounded down. There is no crossover. The paper stops at a target's probability above 0.9 on CIFAR-10; here the
    decision counts, as for every other attack. A child must beat its parent by more than rounding error, so that a
    tie between equal images is not left to chance. Two of several pixels may coincide: the later one is seen then.
    """
    check_inputs(model, images, goal)
    check_counts(pixels=pixels, population=population, generations=generations)
    check_positive(factor=factor)
    chunk = cells_at_once(chunk, images)
    if not population >= 4:
        raise ValueError(f"population is {population}: DE/rand/1 takes 4 different candidates, so use 4 or more")
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    goal, x0 = goal[best.rows], images[best.rows].detach()
    key = keys(x0, seed)
    parent = child = _first(key, x0, population, pixels)
    fitness = x0.new_full((len(x0), population), torch.finfo(x0.dtype).min)
    for generation in range(generations + 1):
        if not len(x0):
            break
        if generation:
            child = _mutants(parent, key, generation, factor, x0)
        better, violations, norm = _evaluate(net, x0, goal, child, chunk)
        parent, fitness = _fitter(parent, fitness, child, better)

        nearest = torch.where(violations == violations.amin(dim=1, keepdim=True), norm, torch.inf).argmin(dim=1)
        x = _draw(x0, child.take_along_dim(nearest.view(-1, 1, 1, 1), dim=1))
        violations, norm = (each.take_along_dim(nearest[:, None], dim=1).squeeze(1) for each in (violations, norm))
        best.update(x, violations, norm, generation, 1 + population * (generation + 1))
        # Asking who is done waits for the device, but saves a generation of passes.
        going = (violations > 0).nonzero().flatten()
        if len(going) < len(x0):
            best.keep(going)
            goal, x0, key, parent, fitness = (each[going] for each in (goal, x0, key, parent, fitness))
    return best.result()


def _first(key: Tensor, images: Tensor, population: int, pixels: int) -> Tensor:
    """Candidates (n, population, pixels, 2 + channels) of float64: row, column and colour of every pixel."""
    (n, channels, height, width), m = images.shape, population * pixels
    row, column = uniform(key, 2 * m, 0).view(n, population, pixels, 2).split(1, dim=-1)
    colour = (128 + 127 * normal(key, channels * m, 1).view(n, population, pixels, channels)) / 255
    return _inside(torch.cat([row * height, column * width, colour], dim=-1), images)


def _mutants(parent: Tensor, key: Tensor, generation: int, factor: float, images: Tensor) -> Tensor:
    """One child a + F (b - c) of every parent, with a, b and c different from each other and from the parent."""
    n = parent.shape[1]
    u = uniform(key, 3 * n, generation + 1).view(len(key), 3, n)
    # Distances around the circle of candidates, drawn without replacement from 1..n-1
    i, j, k = ((u[:, d] * (n - 1 - d)).long() + 1 for d in range(3))
    j = j + (j >= i)
    k = k + (k >= torch.minimum(i, j))
    k = k + (k >= torch.maximum(i, j))
    own = torch.arange(n, device=parent.device)
    a, b, c = (parent.take_along_dim(((own + each) % n)[:, :, None, None], dim=1) for each in (i, j, k))
    return _inside(a + factor * (b - c), images)


def _inside(candidates: Tensor, images: Tensor) -> Tensor:
    """Clip rows to [0, H], columns to [0, W] and colours to [0, 1]."""
    height, width = images.shape[2:]
    row, column, colour = candidates.tensor_split((1, 2), dim=-1)
    return torch.cat([row.clamp(0, height), column.clamp(0, width), colour.clamp(0, 1)], dim=-1)


def _draw(images: Tensor, candidates: Tensor) -> Tensor:
    """Images (n * m, channels, H, W): m candidates (n, m, pixels, 2 + channels) of every image."""
    height, width = images.shape[2:]
    row, column = candidates[..., 0].long().clamp(max=height - 1), candidates[..., 1].long().clamp(max=width - 1)
    place, order = row * width + column, torch.arange(candidates.shape[2], device=images.device)
    last = torch.where(place[..., :, None] == place[..., None, :], order, -1).amax(dim=-1)  # at the same place
    return painted(images, place, candidates[..., 2:].take_along_dim(last[..., None], dim=2))


def _evaluate(
    net: PassCounter, images: Tensor, goal: Goal, candidates: Tensor, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Fitness (a logarithm of it), missed requirements and L2 norm of the change, each (n, m)."""
    n, m = candidates.shape[:2]
    fitness, norm = images.new_empty(2, n, m)
    violations = torch.empty(n, m, dtype=torch.int64, device=images.device)
    for rows, columns in tiles(n, m, chunk):
        here = candidates[rows, columns]
        x = _draw(images[rows], here)
        logits = net.uncounted(x)
        aim = goal[rows][torch.arange(here.shape[0], device=x.device).repeat_interleave(here.shape[1])]
        # cross_entropy's sum may overflow to infinity and a broken model may give NaN: neither is fit
        worth = (-cross_entropy(aim.margins(logits))).nan_to_num(nan=torch.finfo(x.dtype).min)
        fitness[rows, columns] = worth.view(here.shape[:2])
        violations[rows, columns] = aim.violations(logits).view(here.shape[:2])
        change = x.reshape(*here.shape[:2], -1) - images[rows].flatten(1)[:, None]
        norm[rows, columns] = change.norm(dim=2)
    net.add_forwards(m)
    return fitness, violations, norm


def _fitter(parent: Tensor, fitness: Tensor, child: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
    """Child or parent, whichever is fitter, and its fitness."""
    rounding = 64 * torch.finfo(fitness.dtype).eps * (1 + fitness.abs())
    wins = better > fitness + rounding
    return torch.where(wins[:, :, None, None], child, parent), torch.where(wins, better, fitness)
