"""CMLU: a vector for every label, trained among random sums of the others so that any sum of them works."""

from collections.abc import Iterable

import torch
from torch import Tensor

from flipbook.core.validation import check_at_least, check_choice, check_counts, check_positive
from flipbook.universal import coefficients, loss, orthogonality, projections
from flipbook.universal.basis import Basis
from flipbook.universal.descent import ORDERS, descend, objective, slope
from flipbook.universal.pool import Pool, target_sets
from flipbook.universal.training import Meter, Rows, Training


def cmlu_beta(
    pool: Pool,
    labels: Iterable,
    training: Training | None = None,
    *,
    t_law: str = "binomial",
    values: str = "uniform",
    penalty: float = 1.0,
    order: str = "jacobi",
) -> Basis:
    """Train the vectors with random coefficients: u_k is turned so that ε w / |w|_inf hides k, w = u_k + U λ.

    The labels whose λ is above 0 count neither as targets nor as labels that must stay.

    Parameters
    ----------
    pool : Pool
        Victim and training images.
    labels : iterable of K labels
        C', by number or name.
    training : Training, optional
    t_law : str
        How many other vectors an image meets: "binomial" (released code: half of them on average) or "uniform"
        (Algorithm 1).
    values : str
        Their λ: "uniform" in (0, 1], or "binary".
    penalty : float
        Weight of the pull towards orthogonal vectors; 0 turns it off.
    order : str
        "jacobi" (Algorithm 1, line 25): all labels in one batch. "gauss-seidel": one label after the other, as in the
        released code.

    Returns
    -------
    Basis
        `record` tells the cost: one forward and one backward pass for each image that a vector sees, which is
        `K * epochs * images` in all, linear in the number of labels.

    Raises
    ------
    ValueError
        For labels that are unknown, given twice or predicted on no image.

    Notes
    -----
    Section 4.2 and Algorithm 1, with the weights of the released code (see `loss.weights`), one λ an image, and U = 0
    at the start, where both composites and penalty vanish. The composite is scaled to the full ε, upwards too, and
    differentiated through. Another `training.chunk` or `training.batch` gives an image the same λ and the same place in
    the order of its label; the first changes vectors by rounding only, the second changes the steps.
    """
    check_choice("t_law", t_law, coefficients.T_LAWS)
    check_choice("values", values, coefficients.VALUE_LAWS)
    check_at_least(0, penalty=penalty)
    check_choice("order", order, ORDERS)
    omegas, training = target_sets(([label] for label in labels), pool.names), training or Training()
    own, meter = _labels(pool, omegas), Meter(pool)

    def mix(U: Tensor, rows: Rows, turn: slice) -> tuple[Tensor, Tensor]:
        vector = rows.group + turn.start
        λ = coefficients.draw(rows, vector, len(U), t_law, values).to(U)
        return _with_own(λ, vector), _held(λ == 0, vector, own, pool.labels)

    vectors, visits = descend(
        pool,
        omegas,
        training,
        mix,
        projections.full_budget,
        name="CMLU-β",
        order=order,
        penalty=(lambda U, turn: penalty * orthogonality.gradient(U, turn)) if penalty else None,
    )
    settings = {"t_law": t_law, "values": values, "penalty": penalty, "order": order}
    return Basis.of(pool, own.tolist(), vectors, training, "CMLU-β", meter.reading(visits) | settings)


def cmlu_alpha(
    pool: Pool,
    labels: Iterable,
    training: Training | None = None,
    *,
    inner_steps: int = 5,
    inner_move: float = 0.2,
    t_law: str = "uniform",
    order: str = "jacobi",
) -> Basis:
    """Train the vectors with adversarial coefficients: λ is binary and chosen to hurt u_k most.

    From uniform numbers, `inner_steps` times λ <- clip(λ + α ∇_λ L, 0, 1); then the t largest become 1, the rest 0.

    Parameters
    ----------
    pool, labels, training, order
        As for `cmlu_beta`.
    inner_steps : int
        N_α >= 0. At 0 this is `cmlu_beta` with binary values and without penalty.
    inner_move : float
        How far an inner step moves the entry that it moves most; α follows from it.
    t_law : str
        As for `cmlu_beta`.

    Returns
    -------
    Basis
        The cost is 1 + N_α forward and backward passes for each image that a vector sees.

    Raises
    ------
    ValueError
        As for `cmlu_beta`.

    Notes
    -----
    Eq. 9 and Algorithm 1, of which no code was released. Not stated there, and chosen here: N_α and α; one λ an image,
    from a loss of that image alone; while λ is real, a label stays in the drift term with weight 1 - λ (its indicator
    of λ = 0 would be 0 almost surely), and |N_b| is the sum of these weights, taken as a constant; the t largest are
    chosen once, after the loop.
    """
    check_choice("t_law", t_law, coefficients.T_LAWS)
    check_choice("order", order, ORDERS)
    check_counts(0, inner_steps=inner_steps)
    check_positive(inner_move=inner_move)
    omegas, training = target_sets(([label] for label in labels), pool.names), training or Training()
    own, meter = _labels(pool, omegas), Meter(pool)

    def mix(U: Tensor, rows: Rows, turn: slice) -> tuple[Tensor, Tensor]:
        vector = rows.group + turn.start
        start = coefficients.scores(rows, vector, len(U))
        λ = start.clone()
        for part in rows.split(training.chunk) if inner_steps else ():
            first = start[part].to(U)
            λ[part] = _worst(pool, U, rows.index[part], vector[part], own, first, training, inner_steps, inner_move).to(
                λ
            )
        # Where the loop ran into 0 or 1, the start decides among equals.
        λ = coefficients.largest(λ + 1e-6 * start, vector, coefficients.size(rows, len(U), t_law)).to(U)
        return _with_own(λ, vector), _held(λ == 0, vector, own, pool.labels)

    vectors, visits = descend(pool, omegas, training, mix, projections.full_budget, name="CMLU-α", order=order)
    settings = {"t_law": t_law, "inner_steps": inner_steps, "inner_move": inner_move, "order": order}
    return Basis.of(pool, own.tolist(), vectors, training, "CMLU-α", meter.reading(visits) | settings)


def _worst(pool, U, index, vector, own, λ, training, steps, move) -> Tensor:
    """Climb the loss of each image over its real-valued λ (n, K)."""
    target = torch.zeros(len(index), pool.labels, dtype=torch.bool, device=U.device)
    target.scatter_(1, own[vector][:, None], True)
    each = torch.arange(len(index), device=U.device)

    def harm(λ: Tensor) -> Tensor:
        held = _held(1 - λ, vector, own, pool.labels)
        weights = loss.weights(held.detach(), each, len(index), training.kappa)
        w = _with_own(λ, vector) @ U
        return objective(pool, index, w, target, held, weights, training, projections.full_budget)

    for _ in range(steps):
        g = slope(λ, harm).scatter(1, vector[:, None], 0.0)
        g /= g.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(g.dtype).tiny)
        λ = (λ + move * g).clamp_(0, 1)
    return λ


def _labels(pool: Pool, omegas) -> Tensor:
    return torch.tensor([label for (label,) in omegas], device=pool.device)


def _with_own(λ: Tensor, vector: Tensor) -> Tensor:
    """Coefficients of w = u_k + U λ: 1 for the row's own vector."""
    return λ.scatter(1, vector[:, None], 1.0)


def _held(stays: Tensor, vector: Tensor, own: Tensor, labels: int) -> Tensor:
    """N_b as (n, C): `stays` (n, K) for the labels that have a vector, none of the row's own, all others."""
    held = stays.new_ones(len(stays), labels)
    return held.index_copy(1, own, stays.scatter(1, vector[:, None], 0))
