"""Oracle and Or-S: a vector for every target set, and sums of those of single labels."""

from collections.abc import Iterable

from torch import Tensor

from flipbook.universal import projections
from flipbook.universal.basis import Basis, PerSet
from flipbook.universal.descent import descend
from flipbook.universal.pool import Pool, target_sets
from flipbook.universal.training import Meter, Rows, Training


def oracle(pool: Pool, omegas: Iterable, training: Training | None = None) -> PerSet:
    """Train a vector of its own for every target set, all in one batch.

        u_Ω <- clip(u_Ω - ξ sign(∇L), -ε, ε)

    Parameters
    ----------
    pool : Pool
        Victim and training images.
    omegas : iterable of n target sets
        Labels by number or name, or masks; see `pool.target_set`.
    training : Training, optional

    Returns
    -------
    PerSet
        One vector a set. `record` tells the cost: one forward and one backward pass for each image that a vector sees,
        `epochs * images` of them for each set.

    Raises
    ------
    ValueError
        For target sets that no image contains, unknown labels and the same set twice.

    Notes
    -----
    The loss has the mean over Ω where Eq. 1 has the sum, so that κ weighs |Ω| times as much as there (the released
    code's choice). A vector does not depend on the other sets, up to rounding where a gradient is nearly 0.
    """
    training, omegas = training or Training(), target_sets(omegas, pool.names)
    others = ~pool.mask(omegas)
    meter = Meter(pool)

    def alone(_U: Tensor, rows: Rows, turn: slice) -> tuple[None, Tensor]:
        return None, others[rows.group + turn.start]

    vectors, visits = descend(pool, omegas, training, alone, projections.unscaled, name="Oracle")
    return PerSet.of(pool, omegas, vectors, training, "Oracle", meter.reading(visits))


def or_s(pool: Pool, labels: Iterable, training: Training | None = None) -> Basis:
    """Train the Oracle of every single label; a larger set is the sum of them, scaled radially into the ball.

    Parameters and errors are `oracle`'s, with labels in place of target sets. `oracle(...).basis()` makes the same of
    an Oracle that has the single labels.
    """
    return oracle(pool, ([label] for label in labels), training).basis()
