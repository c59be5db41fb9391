"""The three ways in which the family keeps to the ball of radius ε, and the clip of images.

- `columns`: a learnt vector, after each of its steps: value by value.
- `full_budget`: a composite while CMLU trains: always scaled to the full ε, upwards too.
- `radial`: a composite in use: scaled down to ε where it is larger, never up.

All of them keep |v| <= ε bitwise: a quotient w / |w|_inf rounds to at most 1.
"""

import torch
from torch import Tensor

from flipbook.core.batch import batch_view

FLOOR = 1e-9  # beside |w|_inf in `full_budget`, as in the released program: 0 stays 0, with a gradient of its own


def columns(w: Tensor, ε: float) -> Tensor:
    """Clip every value to [-ε, ε]; Π_ε of Algorithm 1, lines 7 and 25."""
    return w.clamp(-ε, ε)


def full_budget(w: Tensor, ε: float) -> Tensor:
    """ε w / (|w|_inf + 1e-9) of every vector (n, ...); differentiable."""
    return _Rescale.apply(w, ε, True)


def radial(w: Tensor, ε: float) -> Tensor:
    """Scale down to w · min(1, ε / |w|_inf) of every vector (n, ...); differentiable. Inside it w stays bitwise."""
    return _Rescale.apply(w, ε, False)


def unscaled(w: Tensor, ε: float) -> Tensor:
    """Leave w as it is: for vectors that `columns` keeps in the ball."""
    return w


def apply(images: Tensor, v: Tensor) -> Tensor:
    """clip(x + v, 0, 1), written over the images; the backward pass takes the clip for the identity."""
    return _Clip.apply(images, v)


class _Rescale(torch.autograd.Function):
    """v = ε w / d, d = m + floor, m = |w|_inf, where it applies: dv = ε/d (dw - w dm/d), dm = ±dw_j at the largest.

    Values that share the largest size, as those that sign steps have driven to ±ε do, share dm evenly. Written by hand
    since it runs in every pass on tensors of the images' size, where autograd would keep several more of them: q = w/m
    alone is kept, which is ±1 at the largest.
    """

    @staticmethod
    def forward(ctx, w: Tensor, ε: float, upwards: bool) -> Tensor:
        flat = w.flatten(1)  # on CPUs aminmax, trunc and norm(inf) take twenty times as long as what stands here
        m = torch.maximum(-flat.amin(dim=1), flat.amax(dim=1))
        applies = m > ε if not upwards else torch.ones_like(m, dtype=torch.bool)
        d = m + FLOOR if upwards else m
        slope = (ε / d).masked_fill(~applies, 1)  # of v where m does not move
        m_by_d = torch.where(applies, m / d, 0)
        q = w / batch_view(m.masked_fill(~applies | (m == 0), 1), w)
        ctx.save_for_backward(q, slope, m_by_d)
        return q * batch_view(torch.where(applies, ε * m_by_d, 1), w)

    @staticmethod
    def backward(ctx, g: Tensor):
        q, slope, m_by_d = ctx.saved_tensors
        q, g_rows = q.flatten(1), g.flatten(1)
        below_one = 1 - torch.finfo(q.dtype).eps / 2
        largest = torch.hardshrink(q, below_one)  # where the division applies: ±1 at the largest |w_j|, 0 elsewhere
        count = largest.norm(dim=1).square_().round_().clamp_(min=1)  # half the time of any way to count
        share = torch.linalg.vecdot(q, g_rows) * m_by_d / count
        torch.addcmul(g_rows, largest, -share[:, None], out=largest)
        return largest.mul_(slope[:, None]).view_as(g), None, None


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images: Tensor, v: Tensor) -> Tensor:
        ctx.mark_dirty(images)  # a copy from the pool: fresh memory would cost more than the sum
        return images.add_(v).clamp_(0, 1)

    @staticmethod
    def backward(ctx, g: Tensor):
        return None, g
