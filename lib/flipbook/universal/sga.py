"""SGA: a vector for every label from aggregated small-batch gradients (Liu et al., ICCV 2023), targeted per label."""

from collections.abc import Iterable

import torch
from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.validation import check_counts
from flipbook.universal import projections
from flipbook.universal.basis import Basis
from flipbook.universal.descent import slopes
from flipbook.universal.pool import Pool, target_sets
from flipbook.universal.training import COINS, Meter, Rows, Training, Visits


def sga(
    pool: Pool,
    labels: Iterable,
    training: Training | None = None,
    *,
    inner_batch: int = 10,
    inner_passes: int = 4,
) -> Basis:
    """Step along the sign of gradients that were summed up along an inner path.

        δ <- u;  G <- 0
        for every small batch of the large one, `inner_passes` times over:
            g = ∇L(δ);   δ <- clip(δ - a sign g, -ε, ε);   G <- G + g
        u <- clip(u - a sign G, -ε, ε)

    A larger set is the sum of its vectors, scaled radially into the ball, as for Or-S.

    Parameters
    ----------
    pool : Pool
        Victim and training images.
    labels : iterable of K labels
        By number or name.
    training : Training, optional
        `batch` is the large batch, 60 in the released code. `step` is a for both kinds of steps, 0.1 ε by default.
    inner_batch : int
        Images of a small batch.
    inner_passes : int
        Times that the large batch is gone through.

    Returns
    -------
    Basis
        The cost is `inner_passes` forward and backward passes for each image that a vector sees, less what does not
        fill a small batch: at most `inner_batch - 1` images of a large batch sit out, others each time.

    Raises
    ------
    ValueError
        For labels that are unknown, given twice or predicted on no image.

    Notes
    -----
    The drift term is divided by the small batch's own count of labels that must stay; the released code divides by
    the large batch's, which makes κ about six times weaker there. Clean logits come from the pool, so that the
    released code's extra forward pass falls away.
    """
    check_counts(inner_batch=inner_batch, inner_passes=inner_passes)
    omegas, training = target_sets(([label] for label in labels), pool.names), training or Training(batch=60)
    meter, visits, target = Meter(pool), Visits(pool, omegas, training), pool.mask(omegas)
    step_size = 0.1 * training.epsilon if training.step is None else training.step
    U = pool.logits.new_zeros(len(omegas), pool.images[0].numel(), dtype=pool.images.dtype)
    for epoch, step in visits.every("SGA"):
        rows, a = visits.rows(epoch, step), step_size * training.factor(epoch)
        δ, G = U, torch.zeros_like(U)
        for small in _small_batches(rows, len(U), inner_batch, inner_passes):
            g = _gradient(pool, δ, small, target, training)
            G += g
            δ = projections.columns(δ - a * g.sign(), training.epsilon)
        U = projections.columns(U - a * G.sign(), training.epsilon)
    labels = [label for (label,) in omegas]
    settings = {"inner_batch": inner_batch, "inner_passes": inner_passes, "step": step_size}
    return Basis.of(pool, labels, U.view(-1, *pool.shape), training, "SGA", meter.reading(visits) | settings)


def _small_batches(rows: Rows, groups: int, size: int, passes: int):
    """Rows of each small batch: the same number of images for every vector, drawn without replacement in a pass."""
    images = len(rows.index) // groups
    size = min(size, images)
    for turn in range(passes):
        draws = per_image_random.uniform(rows.keys, turn + 1, rows.stream * 4 + COINS)[:, turn]
        order = draws.view(groups, images).argsort(dim=1, stable=True)
        order = order + images * torch.arange(groups, device=order.device)[:, None]
        for start in range(0, images - size + 1, size):
            part = order[:, start : start + size].flatten()
            yield Rows(rows.index[part], rows.group[part], rows.stream[part], rows.keys[part])


def _gradient(pool: Pool, δ: Tensor, rows: Rows, target: Tensor, training: Training) -> Tensor:
    on, gradient = target[rows.group], torch.zeros_like(δ)

    def composite(part: slice) -> Tensor:
        return δ.index_select(0, rows.group[part])

    for part, g in slopes(pool, rows, len(δ), on, ~on, composite, training, projections.unscaled):
        gradient.index_add_(0, rows.group[part], g)
    return gradient
