import numpy as np

from companion.datasets import chance

FIRST_ROW = [0.5347529, 0.5997013, 0.6599746]


def test_a_row_does_not_depend_on_the_number_of_rows():
    assert (chance.uniforms(5, 7, "set", "train") == chance.uniforms(900, 7, "set", "train")[:5]).all()


def test_every_part_of_the_key_matters():
    tables = [chance.uniforms(1, 4, *key) for key in [("a", "b"), ("a", "c"), ("d", "b"), ("a", "b", 1), ("a", "b", 2)]]
    assert len({table.tobytes() for table in tables}) == len(tables)


def test_numbers_are_uniform_and_fixed_for_good():
    table = chance.uniforms(20_000, 3, "key")
    assert 0 <= table.min() < table.max() < 1
    np.testing.assert_allclose(table.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(table[0], FIRST_ROW, rtol=1e-6)
