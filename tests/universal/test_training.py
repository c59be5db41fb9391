"""Which images a vector sees, and when."""

import pytest
import torch

from flipbook.universal import Training
from flipbook.universal.training import ORDER, Visits
from tests.universal.small import affine_pool, short

SETS = [(0,), (1,), (2, 3)]


def seen(visits, group):
    """(image, stream) pairs of one vector, in order."""
    found = []
    for epoch in range(visits.training.epochs):
        for step in range(visits.steps):
            rows = visits.rows(epoch, step)
            mine = rows.group == group
            found += list(zip(rows.index[mine].tolist(), rows.stream[mine].tolist(), strict=True))
    return found


def test_every_vector_sees_as_many_images_and_only_its_own():
    pool = affine_pool()
    visits = Visits(pool, SETS, short(epochs=3, images=7, batch=3))
    for g, omega in enumerate(SETS):
        images = [i for i, _ in seen(visits, g)]
        assert len(images) == 21
        assert set(images) <= set(pool.containing(omega).tolist())
    assert visits.steps == 3


def test_one_permutation_after_the_other():
    pool = affine_pool()
    n = len(pool.containing((0,)))
    images = [i for i, _ in seen(Visits(pool, [(0,)], short(epochs=3, images=n)), 0)]
    rounds = [images[i : i + n] for i in range(0, 3 * n, n)]
    assert all(sorted(each) == pool.containing((0,)).tolist() for each in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_neither_batch_nor_neighbours_nor_split_into_epochs_changes_the_order():
    pool = affine_pool()
    alone = seen(Visits(pool, [(2, 3)], short(epochs=2, images=6, batch=4)), 0)
    assert alone == seen(Visits(pool, SETS, short(epochs=2, images=6, batch=5)), 2)
    assert alone == seen(Visits(pool, SETS[::-1], short(epochs=1, images=12, batch=12)), 0)
    assert alone != seen(Visits(pool, [(2, 3)], short(epochs=2, images=6, batch=4, seed=1)), 0)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    Visits(affine_pool(), SETS, short()).rows(0, 0).draw(4, ORDER)
    assert torch.equal(state, torch.get_rng_state())


def test_images_default_to_those_of_the_smallest_set():
    pool = affine_pool()
    assert Visits(pool, SETS, short(images=None)).images == min(len(pool.containing(omega)) for omega in SETS)


def test_draws_differ_between_visits_of_the_same_image():
    pool = affine_pool()
    visits = Visits(pool, [(0,)], short(epochs=1, images=3 * len(pool.containing((0,))), batch=1000))
    rows = visits.rows(0, 0)
    draws = rows.draw(2, ORDER)
    assert len(torch.unique(draws[rows.index == rows.index[0]], dim=0)) == 3


def test_decay():
    assert [round(Training(decay=True).factor(e), 9) for e in (0, 1, 4, 5, 10, 20)] == [1, 0.1, 0.1, 0.01, 1e-3, 1e-4]
    assert Training().factor(20) == 1
    assert Training().xi == pytest.approx(0.002)


def test_a_set_without_images():
    pool = affine_pool(2)
    empty = next(
        (i, j, k) for i in range(4) for j in range(i, 5) for k in range(j, 6) if not len(pool.containing((i, j, k)))
    )
    with pytest.raises(ValueError, match="no image of the pool is predicted to contain"):
        Visits(pool, [(0,), empty], short())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epsilon": 0}, "epsilon is 0"),
        ({"epsilon": torch.inf}, "epsilon is inf: it must be above 0 and finite"),
        ({"step": torch.inf}, "step is inf: it must be above 0 and finite"),
        ({"kappa": torch.inf}, "kappa is inf: it must be 0 or above, and finite"),
        ({"kappa": torch.nan}, "kappa is nan: it must be 0 or above"),
        ({"epochs": 1.5}, "epochs is 1.5: it must be a whole number"),
        ({"batch": 2.5}, "batch is 2.5: it must be a whole number"),
        ({"images": 2.5}, "images is 2.5: it must be a whole number"),
        ({"chunk": 2.5}, "chunk is 2.5: it must be a whole number"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"images": 0}, "images is 0"),
        ({"kappa": -1}, "kappa is -1"),
        ({"step": 0.0}, "step is 0.0"),
        ({"form": "printed"}, "form is 'printed'"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        Training(**wrong)
