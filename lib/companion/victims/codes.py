"""Output codes: the +-1 codewords that an ECOC ensemble's bits spell, and how bits become a class."""

import torch
from scipy.linalg import hadamard as sylvester
from torch import Tensor


def hadamard(order: int, classes: int) -> Tensor:
    """First `classes` rows of the Sylvester-Hadamard matrix: class k has codeword row k, as (classes, order) of +-1.

    order: number of bits n, a power of two; 2 <= classes <= order. Row 0 and column 0 are all +1, so bit 0 tells
    classes apart no more than row 0's presence does. Rows are mutually orthogonal.
    Source: JMA, section VI-A; scipy.linalg.hadamard.
    """
    if order < 2 or order & (order - 1):
        raise ValueError(f"order of a Hadamard code is {order}, it must be a power of two from 2 on: try 16 or 32")
    if not 2 <= classes <= order:
        raise ValueError(f"a Hadamard code of order {order} holds 2 to {order} classes, not {classes}: raise the order")
    return torch.from_numpy(sylvester(order)[:classes]).float()


def decode(logits: Tensor, codebook: Tensor) -> Tensor:
    """Class (N,) whose codeword correlates most with the activated bits: argmax_k tanh(z)^T c_k.

    logits (N, n), codebook (classes, n) of +-1. Source: JMA, Eq. 2 without its rectifier, which never moves the
    argmax and is 0/0 where no score is positive.
    """
    return (logits.tanh() @ codebook.to(logits).T).argmax(1)
