"""CornerSearch: the best changes of one pixel, then random composites of them (Croce and Hein 2019), targeted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from flipbook.attacks.engines.candidates import cells_at_once, painted, tiles
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.pixel_budget import pixels_of
from flipbook.core.attack_result import AttackResult
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, uniform
from flipbook.core.validation import check_choice, check_counts, check_inputs, check_positive
from flipbook.goals import Goal

VARIANTS = ("l0", "l0+linf", "l0+sigma")
INF = float("inf")


@torch.no_grad()
@attack
def corner_search(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    variant: str = "l0+linf",
    epsilon: float = 0.1,
    doublings: int = 4,
    kappa: float = 0.8,
    moves: int | None = None,
    n_max: int = 150,
    n_iter: int = 1000,
    increment: int = 5,
    seed: int = 0,
    chunk: int | None = None,
) -> AttackResult:
    """Rank all moves of one pixel by the goal's worst margin, then try random composites of ever more good moves.

    A composite of s moves draws each of them from the best n_max, rank r = 0, 1, ... with the probability
    (2 (n_max - r) - 1) / n_max². Levels are s = 1, 1 + increment, 1 + 2 increment, ... up to the pixels that k allows.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode. No gradient is asked of it.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    k : int or Tensor (N,) of int64
        Entries that may change. Whole pixels change: at most round(k / channels) of them.
    variant : str
        The moves of a pixel. "l0": to each corner of the colour cube. "l0+linf": by +ε or -ε in each channel, cut at
        the box. "l0+sigma": all channels by the factors 1 - κσ and 1 + κσ, or, for one channel, by -κσ and +κσ, where
        σ is the root of the smaller of the standard deviations of the 3 pixels in a row and in a column.
    epsilon : float
        ε of "l0+linf" in the first search, in [0, 1] units.
    doublings : int
        How often ε is doubled, up to 1, and the whole search made again, where it failed.
    kappa : float
        κ of "l0+sigma".
    moves : int, optional
        Moves of one pixel that are tried, drawn at random. By default all are, as published.
    n_max : int
        Best of these, which composites are made of.
    n_iter : int
        Composites of a level.
    increment : int
        Moves from one level to the next.
    seed : int
        Another seed gives other composites. Those of an image depend on its content and on nothing else.
    chunk : int, optional
        Most candidates that pass through the model at once, by default 64 on a CPU and 512 elsewhere. Decides on memory
        and speed only.

    Returns
    -------
    AttackResult
        Of the successes of the first level that has any, the first one drawn with the fewest changed entries (the
        attack minimises their number, not the L2 norm). `iterations` is the level: 1 for a single move. Passes: 1
        forward to look at the clean images; for each ε, 1 forward a move of one pixel (`moves`, or all: 2^channels · H
        · W, with σ 2 H W) and n_iter forwards a level. Images that repeat share these single moves, but each is charged
        for all of them, as much as it would cost alone.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, a k that does not fit and hyper-parameters out of range.

    Notes
    -----
    The original is untargeted: it has one ordering of the moves for each class and tries them in turn; here the goal's
    margin gives the only one. n_max, n_iter, increment and κ are those of the authors' program for 100 pixels, whose
    levels start at 2. Composites cannot change more than n_max pixels, so a larger k asks for a larger n_max. A pixel
    that is drawn twice gets its better move (theirs: the later one), and moves that change nothing are ranked last. In
    the σ variant their program scales for the table and adds for the composites; here both scale. ε and its doubling
    are choices: the SAPF paper says neither which variant it ran nor with what bound.
    """
    check_inputs(model, images, goal)
    check_choice("variant", variant, VARIANTS)
    check_positive(epsilon=epsilon, kappa=kappa)
    check_counts(n_max=n_max, n_iter=n_iter, increment=increment)
    check_counts(0, doublings=doublings)
    chunk = cells_at_once(chunk, images)
    if moves is not None:
        check_counts(moves=moves)
    images, pixels = images.detach(), pixels_of(k, images)
    key, most = keys(images, seed), int(pixels.max()) if len(pixels) else 0
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    sizes = [min(1.0, epsilon * 2**i) for i in range(doublings + 1)] if variant == "l0+linf" else [kappa]
    for turn, size in enumerate(dict.fromkeys(sizes)):  # once each, also where ε has come to 1
        rows = best.rows
        if not len(rows):
            break
        recolour, drawn = partial(_colours, variant=variant, size=size), partial(_drawn, seed=seed, number=moves)
        place, colour, violations = _best_moves(net, images[rows], goal[rows], recolour, drawn, n_max, chunk)
        pairs = _Pairs(goal[rows], images[rows], key[rows], pixels[rows], place, colour)
        x = painted(pairs.x0, place[:, None, :1], colour[:, None, :1])
        pairs = _take_in(best, pairs, torch.arange(len(rows), device=rows.device), x, violations, 1)
        for level in range(1 + increment, most + 1, increment):
            now = (pairs.pixels >= level).nonzero().flatten()
            if not len(now):
                break
            net.focus(best.rows[now])
            x, violations = _best_composite(net, pairs[now], level, (turn << 32) + level, n_iter, chunk)
            pairs = _take_in(best, pairs, now, x, violations, level)
    return best.result()


@dataclass
class _Pairs(PerImage):
    """What is known of each of n pairs of an image and a goal."""

    goal: Goal
    x0: Tensor  # (n, channels, H, W)
    key: Tensor  # (n,)
    pixels: Tensor  # (n,) how many may change
    place: Tensor  # (n, n_max) the pixel that each of the best moves changes, as row * W + column
    colour: Tensor  # (n, n_max, channels) what it changes it to


def _take_in(best: BestSoFar, pairs: _Pairs, now: Tensor, x: Tensor, violations: Tensor, level: int) -> _Pairs:
    """Record an attempt of the pairs `now`, let those leave that succeeded, and return the others."""
    attempt, missed, norm = pairs.x0.clone(), torch.ones_like(pairs.pixels), torch.full_like(pairs.x0[:, 0, 0, 0], INF)
    attempt[now], missed[now], norm[now] = x, violations, (x != pairs.x0[now]).flatten(1).sum(dim=1).to(x)
    best.update(attempt, missed, norm, level, best.net.forwards[best.rows])
    # Asking who is done waits for the device, but saves a level of passes.
    going = (missed > 0).nonzero().flatten()
    best.keep(going)
    return pairs[going]


def _best_moves(
    net: PassCounter,
    images: Tensor,
    goal: Goal,
    recolour: Callable[[Tensor], Tensor],
    drawn: Callable[[Tensor, int], Tensor],
    n_max: int,
    chunk: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Places (n, n_max) and colours (n, n_max, channels) of the best moves; requirements that the best one misses."""
    different, which = torch.unique(images.flatten(1), dim=0, return_inverse=True)
    different = different.unflatten(1, images.shape[1:])
    colour = recolour(different)
    corners = colour.shape[2]
    tried = drawn(different, colour.shape[1] * corners)
    place, colour = tried // corners, colour.flatten(1, 2).take_along_dim(tried[:, :, None], dim=1)
    scores, violations = _table(net, different, place, colour, which, goal, chunk)
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :n_max]
    fewest = violations.gather(1, order[:, :1]).squeeze(1)
    return place[which[:, None], order], colour[which[:, None], order], fewest


def _drawn(images: Tensor, moves: int, seed: int, number: int | None) -> Tensor:
    """Which of the moves are tried, (n, number): all of them, or the same random ones for equal images."""
    if number is None or number >= moves:
        return torch.arange(moves, device=images.device).expand(len(images), -1)
    return uniform(keys(images, seed), moves, 0).argsort(dim=1, stable=True)[:, :number]


def _table(
    net: PassCounter, different: Tensor, place: Tensor, colour: Tensor, which: Tensor, goal: Goal, chunk: int
) -> tuple[Tensor, Tensor]:
    """Worst margin after each move, and how many requirements it misses, (n, moves) for each pair."""
    n, moves = len(which), place.shape[1]
    by_image, ends = which.argsort(), [0, *which.bincount().cumsum(0).tolist()]
    own = different.flatten(2).transpose(1, 2).take_along_dim(place[:, :, None], dim=1)
    unchanged = (colour == own).all(dim=2)
    scores = different.new_empty(n, moves)
    violations = torch.empty(n, moves, dtype=torch.int64, device=which.device)
    for rows, columns in tiles(len(different), moves, chunk):
        x = painted(different[rows], place[rows, columns, None], colour[rows, columns, None])
        logits = net.uncounted(x).unflatten(0, place[rows, columns].shape)

        pairs = by_image[ends[rows.start] : ends[rows.stop]]
        image, m = which[pairs], logits.shape[1]
        aim, z = goal[pairs.repeat_interleave(m)], logits[image - rows.start].flatten(0, 1)
        worst = aim.margins(z).amin(dim=1).view(-1, m)
        idle = unchanged[image, columns] | worst.isnan()
        scores[pairs, columns] = torch.where(idle, -INF, worst)
        violations[pairs, columns] = aim.violations(z).view(-1, m)
    net.add_forwards(moves)
    return scores, violations


def _colours(images: Tensor, variant: str, size: float) -> Tensor:
    """What the moves make of every pixel, (n, H * W, moves a pixel, channels)."""
    channels = images.shape[1]
    x = images.flatten(2).transpose(1, 2)[:, :, None]
    if variant == "l0+sigma":
        σ = _sigma_map(images).flatten(2).transpose(1, 2)[:, :, None]
        signs = torch.tensor([[-1.0], [1.0]]).to(x)
        return (x + signs * size * σ * (x if channels > 1 else 1)).clamp(0, 1)
    corner = torch.arange(2**channels, device=x.device)[:, None] >> torch.arange(channels, device=x.device) & 1
    if variant == "l0":
        return corner.to(x).expand(*x.shape[:2], -1, -1)
    return (x + size * (2 * corner - 1).to(x)).clamp(0, 1)


def _sigma_map(images: Tensor) -> Tensor:
    """Root of the smaller standard deviation of 3 neighbours in a row and in a column; the border repeats itself."""
    around = pad(images, (1, 1, 1, 1), mode="replicate")
    across = around[:, :, 1:-1].unfold(3, 3, 1).std(dim=-1, correction=0)
    down = around[:, :, :, 1:-1].unfold(2, 3, 1).std(dim=-1, correction=0)
    return torch.minimum(across, down).sqrt()


def _best_composite(
    net: PassCounter, pairs: _Pairs, level: int, stream: int, n_iter: int, chunk: int
) -> tuple[Tensor, Tensor]:
    """Image and missed requirements of the best of n_iter composites: fewest missed, then fewest changed entries."""
    entries, moves = pairs.x0[0].numel(), pairs.place.shape[1]
    cost = torch.empty(len(pairs.x0), n_iter, dtype=torch.int64, device=pairs.key.device)
    for rows, columns in tiles(*cost.shape, chunk):
        part, m = pairs[rows], columns.stop - columns.start
        ranks = _ranks(uniform(part.key, m * level, stream, columns.start * level), moves)
        x = _composites(part, ranks.view(-1, m, level))
        aim = part.goal[torch.arange(len(part.key), device=x.device).repeat_interleave(m)]
        changed = (x.unflatten(0, (-1, m)) != part.x0[:, None]).flatten(2).sum(dim=2)
        cost[rows, columns] = aim.violations(net.uncounted(x)).view(-1, m) * (entries + 1) + changed
    net.add_forwards(n_iter)
    first = cost.argmin(dim=1)
    ranks = _ranks(uniform(pairs.key, level, stream, first * level), moves)
    return _composites(pairs, ranks[:, None]), cost.gather(1, first[:, None]).squeeze(1) // (entries + 1)


def _ranks(u: Tensor, n: int) -> Tensor:
    """Turn uniform numbers into ranks 0..n-1 of probability (2 (n - r) - 1) / n², by the inverse of their cdf."""
    return (n - 1 - (n * u.sqrt()).long()).clamp(min=0)  # n √u may round up to n


def _composites(pairs: _Pairs, ranks: Tensor) -> Tensor:
    """Images (n * m, channels, H, W): the moves of these ranks (n, m, level) made together, m times for every image."""
    n, m = ranks.shape[:2]
    place = pairs.place[:, None].expand(-1, m, -1).gather(2, ranks)
    # A pixel drawn more than once gets the best of its moves, so that the order of writing does not matter.
    nobody = ranks.new_full((n, m, pairs.x0[0, 0].numel()), pairs.place.shape[1])
    ranks = nobody.scatter_reduce_(2, place, ranks, "amin").gather(2, place)
    return painted(pairs.x0, place, pairs.colour[torch.arange(n, device=ranks.device)[:, None, None], ranks])
