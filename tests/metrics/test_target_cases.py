import math

import pandas as pd
import pytest

from flipbook.metrics.target_cases import target_cases

# image, reached, reached_8bit, l0, l1, l2, linf
PAIRS = [
    (0, True, True, 5, 1.0, 2.0, 0.3),
    (0, True, False, 3, 1.5, 1.0, 0.5),
    (1, True, True, 9, 3.0, 4.0, 0.1),
    (1, False, False, 1, 0.1, 0.5, 0.9),
]


@pytest.fixture
def rows():
    names = ["image", "reached", "reached_8bit", "l0", "l1", "l2", "linf"]
    table = pd.DataFrame(PAIRS, columns=names).assign(forwards=3, backwards=2, seconds=0.5)
    return table.assign(method="A")


def line(table, case):
    (found,) = table[table["case"] == case].to_dict("records")
    return found


def test_one_pair_stands_for_an_image_with_all_its_norms(rows):
    table = target_cases(rows)
    best, average, worst = (line(table, case) for case in ("best", "average", "worst"))
    assert (best["asr"], best["pairs"]) == (1.0, 2)
    assert (best["l0"], best["l1"], best["l2"], best["linf"]) == (6.0, 2.25, 2.5, 0.3)  # pairs 1 and 2
    assert best["asr_8bit"] == 0.5  # the pair chosen for image 0 does not survive rounding
    assert (average["asr"], average["pairs"], average["l2"]) == (0.75, 3, pytest.approx(7 / 3))
    assert (average["passes"], average["seconds"]) == (5.0, 0.5)
    assert (worst["asr"], worst["pairs"]) == (0.5, 1)  # image 1 has a failure
    assert (worst["l0"], worst["l2"]) == (5.0, 2.0)


def test_each_norm_may_have_its_own_target(rows):
    best = line(target_cases(rows, select="per-norm"), "best")
    assert (best["l0"], best["l1"], best["l2"], best["linf"]) == (6.0, 2.0, 2.5, pytest.approx(0.2))


def test_failures_may_count_as_pairs(rows):
    table = target_cases(rows, failures="include")
    best, average, worst = (line(table, case) for case in ("best", "average", "worst"))
    assert (best["asr"], best["l2"]) == (0.5, 0.75)  # the failure of image 1 is its smallest
    assert (average["pairs"], average["l2"]) == (4, pytest.approx(7.5 / 4))
    assert (worst["asr"], worst["l2"]) == (1.0, 3.0)


def test_without_success_there_are_no_norms(rows):
    table = target_cases(rows.assign(reached=False, reached_8bit=False))
    assert (table["asr"] == 0).all()
    assert all(math.isnan(value) for value in table["l2"])


def test_what_cannot_be_compared_is_refused(rows):
    with pytest.raises(ValueError, match="different numbers of targets"):
        target_cases(rows.iloc[:3])
    with pytest.raises(ValueError, match="run an experiment first"):
        target_cases(rows.iloc[:0])
    with pytest.raises(ValueError, match="choose one of 'l2', 'per-norm'"):
        target_cases(rows, select="l1")
