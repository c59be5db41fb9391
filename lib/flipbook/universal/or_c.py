"""Or-C: the Oracle's vectors of single labels, with a trained coefficient for each label of a set."""

from collections.abc import Iterable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.validation import check_choice, check_positive
from flipbook.universal import projections
from flipbook.universal.basis import Basis, Mixture
from flipbook.universal.descent import slopes
from flipbook.universal.pool import Pool, check_same_labels, identity, target_sets
from flipbook.universal.training import VALUES, Meter, Training, Visits

SETTINGS = ("adam", "released")
RELEASED_KAPPA = 50.0


def or_c(
    basis: Basis,
    pool: Pool,
    omegas: Iterable,
    training: Training | None = None,
    *,
    setting: str = "adam",
    rate: float | None = None,
) -> Mixture:
    """Train a coefficient for each label of every target set; the vectors stay.

        v = w min(1, ε / |w|_inf),   w = Σ_{k in Ω} a_k u_k

    Parameters
    ----------
    basis : Basis
        Of Or-S.
    pool : Pool
        Victim and training images.
    omegas : iterable of n target sets
        Subsets of the basis' labels.
    training : Training, optional
        Its ε must be the basis'.
    setting : str
        "adam": start at a = 1, which is Or-S, with Adam. "released": start uniformly in [-1, 1], plain gradient
        descent whose rate is divided by 10 at epochs 1, 5, 10 and 20, and κ = 50, which the released code has fixed
        there; half of the coefficients start with the wrong sign.
    rate : float, optional
        0.05 for Adam, 0.001 for the released setting.

    Returns
    -------
    Mixture
        A single label keeps the Oracle's vector, at no cost. For larger sets one forward and one backward pass for each
        image.

    Raises
    ------
    ValueError
        As for `oracle`, for labels that the basis does not have, and for a pool of other labels than the basis'.

    Notes
    -----
    Source: "Oracle Combination" of section 4.1, u_Ω = Σ a_i u_i, with the loss of Eqs. 1 and 2 as `oracle` has it and
    the radial projection of the released code. The paper gives no optimiser; at |Ω| = 1 its Or-C is the Oracle
    (Table 2). A set's coefficients do not depend on the other sets.
    """
    check_choice("setting", setting, SETTINGS)
    check_same_labels("the basis", basis.names, pool.names)
    training, released = training or Training(epsilon=basis.epsilon), setting == "released"
    if training.epsilon != basis.epsilon:
        raise ValueError(f"training.epsilon is {training.epsilon}, the basis has {basis.epsilon}: make them equal")
    if released:
        training = replace(training, kappa=RELEASED_KAPPA, decay=True)
    rate = (0.001 if released else 0.05) if rate is None else rate
    check_positive(rate=rate)
    omegas, meter = target_sets(omegas, pool.names), Meter(pool)
    members = basis.vectors.new_zeros(len(omegas), len(basis.labels))
    for row, omega in enumerate(omegas):
        members[row, basis.columns(omega)] = 1
    trained = [row for row, omega in enumerate(omegas) if len(omega) > 1]
    visits = Visits(pool, [omegas[row] for row in trained], training) if trained else None
    coefficients = members.clone()
    if trained:
        start = members[trained] * (_random_signs(visits, omegas, trained, members) if released else 1)
        coefficients[trained] = _train(basis, pool, start, members[trained], visits, training, rate, released)
    cost = meter.reading(visits) | {"setting": setting, "rate": rate}
    return Mixture(basis, omegas, coefficients, "Or-C", asdict(training) | cost)


def _train(basis, pool, a, members, visits, training, rate, released) -> Tensor:
    U = basis.vectors.flatten(1)
    target = pool.mask(visits.omegas)
    a = a.clone().requires_grad_()
    optimiser = (torch.optim.SGD if released else torch.optim.Adam)([a], lr=rate)
    for epoch, step in visits.every("Or-C"):
        rows, weights = visits.rows(epoch, step), a.detach()
        on, gradient = target[rows.group], torch.zeros_like(weights)

        def composite(part: slice, group=rows.group, weights=weights) -> Tensor:
            return weights[group[part]] @ U

        for part, g in slopes(pool, rows, len(a), on, ~on, composite, training, projections.radial):
            gradient.index_add_(0, rows.group[part], g @ U.T)
        a.grad = gradient * members
        optimiser.param_groups[0]["lr"] = rate * training.factor(epoch)
        optimiser.step()
    return a.detach()


def _random_signs(visits: Visits, omegas, trained: list[int], members: Tensor) -> Tensor:
    """Uniform numbers in [-1, 1) that belong to a set and its labels, (n, K)."""
    keys = torch.tensor([identity(omegas[row]) for row in trained], device=members.device)
    keys = keys ^ per_image_random.keys(torch.zeros(1, 1, device=members.device), visits.training.seed)
    return (2 * per_image_random.uniform(keys, members.shape[1], VALUES) - 1).to(members)
