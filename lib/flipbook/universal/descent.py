"""Sign descent of many vectors at once: the engine of Oracle and CMLU, and the gradient that all methods share."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from flipbook.core.gradients import owned
from flipbook.universal import loss, projections
from flipbook.universal.pool import Pool, TargetSet
from flipbook.universal.training import Rows, Training, Visits

ORDERS = ("jacobi", "gauss-seidel")


def objective(
    pool: Pool,
    index: Tensor,
    w: Tensor,
    target: Tensor,
    held: Tensor,
    weights: tuple[Tensor, Tensor],
    training: Training,
    project: Callable[[Tensor, float], Tensor],
) -> Tensor:
    """Weighted loss of images attacked by v = project(w, ε): one forward pass for each of them.

    Parameters
    ----------
    pool : Pool
    index : Tensor (n,) of int64
        The images.
    w : Tensor (n, m)
        A composite for each of them, flat.
    target, held : Tensor (n, C)
        Labels to turn off and labels that must stay; see `loss.terms`.
    weights : two Tensors (n,)
        Of `loss.weights`.
    training : Training
        Gives ε and the form of the loss.
    project : callable
        One of `projections`.
    """
    v = project(w, training.epsilon).view(-1, *pool.shape)
    a = pool.net(projections.apply(pool.take(index), v))
    attack, drift = loss.terms(a, pool.logits[index], target, held, training.form)
    return (attack * weights[0].to(a)).sum() + (drift * weights[1].to(a)).sum()


def slope(w: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradient of a scalar function at w."""
    with torch.enable_grad():
        w = w.detach().requires_grad_()
        value = compute(w)
    return owned(torch.autograd.grad(value, w)[0])


def slopes(
    pool: Pool,
    rows: Rows,
    groups: int,
    target: Tensor,
    held: Tensor,
    composite: Callable[[slice], Tensor],
    training: Training,
    project: Callable[[Tensor, float], Tensor],
) -> Iterator[tuple[slice, Tensor]]:
    """Go through the images of a step in passes of `chunk`; yield slices and gradients at their composites (n, m).

    `groups` is the number of vectors that the rows train; target and held are (n, C); `composite` makes the composites
    of a slice of the rows. The rest is as for `objective`.
    """
    attack, drift = loss.weights(held, rows.group, groups, training.kappa)
    for part in rows.split(training.chunk):
        options = target[part], held[part], (attack[part], drift[part]), training, project
        yield part, slope(composite(part), lambda w, part=part, o=options: objective(pool, rows.index[part], w, *o))


def descend(
    pool: Pool,
    omegas: Sequence[TargetSet],
    training: Training,
    mix: Callable[[Tensor, Rows, slice], tuple[Tensor | None, Tensor]],
    project: Callable[[Tensor, float], Tensor],
    *,
    name: str,
    order: str = "jacobi",
    penalty: Callable[[Tensor, slice], Tensor] | None = None,
) -> tuple[Tensor, Visits]:
    """Train one vector for each target set with steps u <- clip(u - ξ sign(gradient)), from u = 0.

    Parameters
    ----------
    pool, training : Pool, Training
    omegas : sequence of G target sets
    mix : callable
        From all vectors (G, m), the rows of a step and the vectors that they train: the coefficients (n, G) of each
        row's composite (None: its own vector alone), and the labels (n, C) that must stay.
    project : callable
        One of `projections`, for composites.
    name : str
        For the progress bar.
    order : str
        "jacobi": every vector steps from where all were before the step, in one batch. "gauss-seidel": one vector
        after the other, each composite with those that have stepped already.
    penalty : callable, optional
        From all vectors and the slice at work, a gradient to add.

    Returns
    -------
    Tensor (G, channels, H, W), Visits
        The vectors, with |u| <= ε, and what they have seen.
    """
    target, visits = pool.mask(omegas), Visits(pool, omegas, training)
    U = pool.logits.new_zeros(len(omegas), pool.images[0].numel(), dtype=pool.images.dtype)
    turns = [slice(0, len(U))] if order == "jacobi" else [slice(k, k + 1) for k in range(len(U))]
    for epoch, step in visits.every(name):
        for turn in turns:
            rows = visits.rows(epoch, step, turn)
            coefficients, held = mix(U, rows, turn)
            mixed = _mixed(U, coefficients, rows.group + turn.start)
            on = target[rows.group + turn.start]
            gradient = torch.zeros_like(U[turn])
            for part, g in slopes(pool, rows, len(gradient), on, held, mixed, training, project):
                gradient.index_add_(0, rows.group[part], g)
            if penalty is not None:
                gradient += penalty(U, turn)
            ξ = training.xi * training.factor(epoch)
            # CMLU, Algorithm 1, line 25
            U[turn] = projections.columns(U[turn].sub(gradient.sign_(), alpha=ξ), training.epsilon)
    return U.view(-1, *pool.shape), visits


def _mixed(U: Tensor, coefficients: Tensor | None, vector: Tensor) -> Callable[[slice], Tensor]:
    """Make the composites of a slice of rows: each row's sum of vectors, or its own vector."""
    if coefficients is None:
        return lambda part: U.index_select(0, vector[part])
    return lambda part: coefficients[part] @ U
