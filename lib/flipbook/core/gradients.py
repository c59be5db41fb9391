"""Products with the Jacobian J of the logits, for every image of a batch at once.

In eval mode images do not meet inside a model, so one backward pass with a cotangent for each image gives one row of
A J for all of them: k rows cost k backward passes, however many images there are.
"""

import torch
from torch import Tensor

from flipbook.core.pass_counter import PassCounter
from flipbook.goals import Constraints

AT_ONCE = 64  # rows at most in one vectorised backward pass, whose memory goes with their number


def row_gradients(
    net: PassCounter, logits: Tensor, x: Tensor, rows: Tensor | Constraints, batched: bool | None = None
) -> Tensor:
    """Rows of A J: gradients of k linear combinations of an image's logits with respect to its pixels.

    Parameters
    ----------
    net : PassCounter
        The counter through which `logits` were made.
    logits : Tensor (N, C)
        Computed from `x`; their graph is kept for further calls.
    x : Tensor (N, channels, H, W)
        Requires a gradient.
    rows : Tensor (N, k, C) or Constraints with k rows
        The combinations A, one set an image.
    batched : bool, optional
        Up to 64 backward passes in one vectorised call (faster on a GPU, as many times the memory of a pass) or one
        after the other (faster on a CPU). By default the device decides.

    Returns
    -------
    Tensor (N, k, channels, H, W)
    """
    k = rows.shape[1] if isinstance(rows, Tensor) else rows.offsets.shape[1]
    batched = x.is_cuda if batched is None else batched
    gradients = x.new_empty(k, *x.shape)
    stride = AT_ONCE if batched else 1
    for first in range(0, k, stride):
        part = slice(first, first + stride)
        cotangents = _combinations(rows, part, logits)
        if len(cotangents) == 1:
            (gradients[first],) = torch.autograd.grad(logits, x, cotangents[0], retain_graph=True)
            continue
        (gradients[part],) = torch.autograd.grad(logits, x, cotangents, retain_graph=True, is_grads_batched=True)
        net.add_backwards(len(cotangents) - 1)
    return gradients.transpose(0, 1)


def _combinations(rows: Tensor | Constraints, part: slice, logits: Tensor) -> Tensor:
    """Some of the rows as cotangents (k, N, C) of the logits."""
    if isinstance(rows, Tensor):
        return rows[:, part].to(logits).transpose(0, 1)
    return rows[:, part].matrix(logits.shape[1]).to(logits).transpose(0, 1)


def loss_gradient(loss: Tensor, x: Tensor) -> Tensor:
    """Gradient of every image's loss (n,) with respect to its own pixels x, like x, free to be overwritten."""
    return owned(torch.autograd.grad(loss, x, torch.ones_like(loss))[0])


def owned(gradient: Tensor) -> Tensor:
    """The gradient, copied where several entries share their memory.

    Behind a model that begins with a sum, of channels for example, autograd hands back one number seen many times.
    """
    shared = any(size > 1 and stride == 0 for size, stride in zip(gradient.shape, gradient.stride(), strict=True))
    return gradient.clone() if shared else gradient


def directional(net: PassCounter, logits: Tensor, x: Tensor, δ: Tensor) -> Tensor:
    """J δ (N, C), the first-order change of the logits, in two backward passes: J is the gradient of u -> Jᵀ u.

    Needs a model whose backward pass has a gradient; fused attention kernels have none (see `differentiable_twice`).
    """
    u = torch.zeros_like(logits, requires_grad=True)
    (pulled,) = torch.autograd.grad(logits, x, u, create_graph=True)
    (pushed,) = torch.autograd.grad(pulled, u, δ, retain_graph=True)
    net.add_backwards(1)
    return pushed


def differentiable_twice():
    """Context in which attention is computed by plain products, whose backward pass has a gradient of its own."""
    return torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
