"""Rules that end a search, on sequences of measures made by hand."""

import pytest

from flipbook.universal.stopping import FoolingRate, Patience, chosen


def run(rule, sasr=(), lfr=(), asr=()):
    """Say of each evaluation whether it is the best, up to the one after which the rule stops."""
    longest = max(map(len, (sasr, lfr, asr)))
    columns = {"sasr": sasr, "lfr": lfr, "asr": asr}
    found = []
    for i in range(longest):
        found.append(rule.better({name: values[i] for name, values in columns.items() if values}))
        if rule.done:
            break
    return found


def test_patience_counts_what_is_no_better():
    rule = Patience(2)
    assert run(rule, (0.1, 0.3, 0.2, 0.1, 0.0, 0.9), (0.5, 0.4, 0.3, 0.2, 0.1, 0.9)) == [True, True, *3 * [False]]
    assert rule.done  # SASR has waited for three evaluations, LFR for four


def test_a_saturated_measure_is_no_improvement():
    assert len(run(Patience(3), 9 * (1.0,), 9 * (1.0,))) == 5


def test_both_measures_must_wait():
    sasr, lfr = 9 * (0.5,), (0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.4)
    rule = Patience(1)
    assert run(rule, sasr, lfr) == [True, False, True, False, True, False, False]
    assert len(run(Patience(1), lfr, sasr)) == 7
    assert len(run(Patience(2), sasr, lfr)) == 8


def test_a_measure_starts_anew_when_it_rises():
    rule = Patience(1)
    assert run(rule, (0.1, 0.0, 0.2, 0.0, 0.3, 0.0), (0.5, 0.0, 0.0, 0.0, 0.0, 0.0)) == [True, *5 * [False]]
    assert not rule.done
    assert not rule.better({"sasr": 0.0, "lfr": 0.0})
    assert rule.done


def test_best_is_the_larger_sum_and_the_first_of_equals():
    assert run(Patience(40), (0.25, 0.5, 0.75, 0.0), (0.75, 0.75, 0.5, 1.0)) == [True, True, False, False]


def test_fooling_rate():
    rule = FoolingRate(0.8)
    assert run(rule, asr=(0.5, 0.7, 0.6, 0.7, 0.8, 0.9)) == [True, True, False, False, True]
    rule = FoolingRate(1)
    assert run(rule, asr=(0.99, 0.5)) == [True, False]
    assert not rule.done


@pytest.mark.parametrize("wanted", [0, -0.1, 1.1, float("nan")])
def test_rates_out_of_range(wanted):
    with pytest.raises(ValueError, match=r"fooling_rate is .*: it must be above 0 and at most 1"):
        FoolingRate(wanted)


def test_patience_out_of_range():
    with pytest.raises(ValueError, match="patience is 0: it must be a whole number, 1 or above"):
        Patience(0)


def test_chosen_from_a_longer_search():
    trace = {"asr": [0.1, 0.6, 0.2, 0.2, 0.9], "sasr": [0.2, 0.3, 0.2, 0.1, 0.9], "lfr": [0.2, 0.3, 0.2, 0.1, 0.9]}
    assert [chosen(rule, trace) for rule in (Patience(1), Patience(2), FoolingRate(0.5), FoolingRate(0.8))] == [
        1,
        4,
        1,
        4,
    ]
