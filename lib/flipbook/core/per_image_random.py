"""Random numbers that belong to an image: a function of its content, a stream and a position, and of nothing else.

A generator with a state would give an image other numbers in another batch, after another history or on another
device. Here number p of stream s of an image is a hash of (key, s, p), and the key is a hash of the image, so that a
batch, its order and the images that have left it do not matter. Images of equal content, such as one image with
several targets, share their numbers.

The hash is the finaliser of splitmix64 (Steele, Lea and Flood 2014), in int64 arithmetic that wraps around: PyTorch's
unsigned 64-bit integers know neither shifts nor products everywhere.
"""

import torch
from torch import Tensor

from flipbook.core.validation import check_counts


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    return (value + 2**63) % 2**64 - 2**63


GOLDEN = _signed(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step between two counters
ROUNDS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def keys(images: Tensor, seed: int = 0) -> Tensor:
    """Hash the content of every image.

    Parameters
    ----------
    images : Tensor (N, channels, H, W)
        Floating. Values that are equal as float32 give equal keys, whatever their type; -0 counts as 0.
    seed : int
        Another seed gives other keys; 0 or above.

    Returns
    -------
    Tensor (N,) of int64

    Raises
    ------
    ValueError
        For a seed that is no such number.
    """
    check_counts(0, seed=seed)
    values = images.detach().float().flatten(1) + 0.0  # + 0 turns -0 into 0
    bits = values.contiguous().view(torch.int32).long()
    position = torch.arange(bits.shape[1], device=bits.device)
    return _mix(_mix(bits + position * GOLDEN).sum(dim=1) + _signed(seed * GOLDEN))


def uniform(keys: Tensor, count: int, stream: int | Tensor, start: int | Tensor = 0) -> Tensor:
    """Numbers of a uniform distribution on [0, 1).

    Parameters
    ----------
    keys : Tensor (N,) of int64
        One an image.
    count : int
        Numbers an image; the first ones do not depend on it.
    stream : int or Tensor (N,) of int64
        What they are drawn for, such as the number of the step; two streams have nothing in common.
    start : int or Tensor (N,) of int64
        Position of the first one in the stream, to draw a long stream in parts.

    Returns
    -------
    Tensor (N, count) of float64
        Multiples of 2^-53.
    """
    zero = torch.zeros_like(keys)
    origin = _mix(keys ^ _mix((zero + stream + 1) * GOLDEN)) + (zero + start + 1) * GOLDEN
    counter = torch.arange(count, device=keys.device) * GOLDEN
    return _shift(_mix(origin[:, None] + counter), 11).double() * 2.0**-53


def normal(keys: Tensor, count: int, stream: int | Tensor) -> Tensor:
    """Numbers of the standard normal distribution, (N, count) of float64: the inverse of its cdf at `uniform`'s.

    A stream serves either `uniform` or `normal`. The inverse may differ in its last bits between devices.
    """
    return torch.special.ndtri(uniform(keys, count, stream).clamp(min=2.0**-54))


def _mix(x: Tensor) -> Tensor:
    for shift, factor in ROUNDS:
        x = (x ^ _shift(x, shift)) * factor
    return x ^ _shift(x, 31)


def _shift(x: Tensor, by: int) -> Tensor:
    """Shift to the right and fill with zeros, where int64 would fill with the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)
