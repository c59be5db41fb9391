"""The ball of radius ε in single precision, to the last bit, for every method."""

import pytest
import torch

from flipbook.universal import cmlu_alpha, cmlu_beta, nag, or_c, or_s, oracle, sga
from tests.universal.small import net_pool, short, single_precision

LABELS = [0, 2, 3, 5]
SETS = [(0,), (3,), (0, 2), (2, 5), (0, 2, 3), (2, 3, 5)]

METHODS = {
    "oracle": lambda pool, training: oracle(pool, SETS, training),
    "or-s": lambda pool, training: or_s(pool, LABELS, training),
    "or-c": lambda pool, training: or_c(or_s(pool, LABELS, training), pool, SETS, training),
    "or-c released": lambda pool, training: or_c(
        or_s(pool, LABELS, training), pool, SETS, training, setting="released", rate=0.5
    ),
    "sga": lambda pool, training: sga(pool, LABELS, training, inner_batch=2),
    "nag": lambda pool, training: nag(pool, LABELS, training, width=8, noise=4),
    "cmlu-alpha": lambda pool, training: cmlu_alpha(pool, LABELS, training, inner_steps=1),
    "cmlu-beta": lambda pool, training: cmlu_beta(pool, LABELS, training),
}
WITH_A_BASIS = ("or-s", "sga", "cmlu-alpha", "cmlu-beta")


@pytest.mark.parametrize("epsilon", [0.05, 0.007, 1 / 255, 0.3])
@pytest.mark.parametrize("method", METHODS)
def test_no_value_is_beyond_epsilon_by_a_single_bit(method, epsilon):
    """Vectors and what is composed of them; ε is the number of float32 next to it, and some values reach it."""
    pool, ε = single_precision(net_pool()), torch.tensor(epsilon)
    result = METHODS[method](pool, short(epochs=4, epsilon=epsilon, step=0.37 * epsilon))
    options = [{"projection": name} for name in ("radial", "clip")] if method in WITH_A_BASIS else [{}]
    made = [result.compose_all(SETS, **chosen) for chosen in options]
    made += [result.vectors] if hasattr(result, "vectors") else []
    for v in made:
        assert v.dtype == torch.float32
        assert (v.abs() <= ε).all()
    assert all((v.abs() == ε).any() for v in made)
