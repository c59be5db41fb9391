"""Two problems in a box that ask for few changes, solved exactly by one sort: the cores of SparseFool and PGD l0."""

import torch
from torch import Tensor

from flipbook.solvers.lp_box import largest_entries


def cross_plane(x: Tensor, w: Tensor, gain: Tensor, low: Tensor, high: Tensor, offset: float = 0.0) -> Tensor:
    """Move the fewest entries of x so that <w, y - x> reaches a gain, each as far as the box and the gain allow.

    Entries move in the order of falling |w|, each to its bound, until the gain is reached; the last one only as far as
    needed. Where all of them together fall short, all move.

    Parameters
    ----------
    x, w : Tensor (N, m)
        Points, and the normals of their planes. Equal |w| move in the order of their indices; w = 0 never moves.
    gain : Tensor (N,)
        Where 0 or less nothing moves.
    low, high : Tensor (N, m)
        The box, with x in it.
    offset : float
        By how much more than the gain the last entry moves, if it has the room.

    Returns
    -------
    Tensor (N, m)
        y in the box, exactly on a bound for every entry that had to move all the way.

    Notes
    -----
    "LinearSolver" of Modas, Moosavi-Dezfooli and Frossard (SparseFool, CVPR 2019, Algorithm 1), which moves one entry a
    step of a loop. What is left to gain before an entry moves is the gain less the room of those before it, so that one
    cumulative sum replaces the loop. With equal rooms no choice of entries is smaller; SparseFool's boxes differ only
    where an image touches 0 or 1.
    """
    slope, order = w.double().abs().sort(dim=1, descending=True, stable=True)
    bound = torch.where(w > 0, high, low).gather(1, order)
    start = x.gather(1, order)
    room = (bound.double() - start).abs()
    before = (slope * room).cumsum(dim=1) - slope * room
    missing = gain.double()[:, None] - before
    move = torch.where((missing > 0) & (slope > 0), (missing + offset) / slope, 0)
    away = w.gather(1, order).sign() * move
    moved = torch.where(move >= room, torch.where(move > 0, bound, start), (start + away).to(x))
    y = torch.empty_like(x).scatter_(1, order, moved)
    return y.clamp(low, high)


def nearest_sparse(y: Tensor, x: Tensor, pixels: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Project y on the images in the box that differ from x in at most so many pixels.

    Parameters
    ----------
    y, x : Tensor (N, channels, H, W)
        What to project, and the images to differ from.
    pixels : Tensor (N,) of int64
        Most pixels that may differ, in any of their channels.
    low, high : Tensor (N, channels, H, W)
        The box, with x in it.

    Returns
    -------
    Tensor (N, channels, H, W)
        Bitwise x in all other pixels, and in the box.

    Notes
    -----
    Croce and Hein (ICCV 2019), section 3.1. Leaving a pixel at x costs ||y - x||², moving it costs its squared distance
    from the box; the pixels with the largest difference of the two are moved, ties by index.
    """
    clipped = y.clamp(low, high)
    score = ((clipped - x) * ((y - x) + (y - clipped))).sum(dim=1).flatten(1)  # a² - b² = (a - b)(a + b)
    chosen = largest_entries(score, pixels)
    return torch.where(chosen.view(len(y), 1, *y.shape[2:]), clipped, x)
