"""Verdicts on hand-made rows."""

import pandas as pd
import pytest

from companion.papers.sapf import claims as claim
from companion.report import Claims


def rows(**methods):
    """Rows of pairs: method=[l2 of every pair, None for a failure]."""
    lines = [
        {"method": name, "image": i // 2, "target": f"t{i % 2}", "reached": value is not None, "l2": value or 9.0}
        for name, values in methods.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(lines)


def verdict(function, *arguments, **options):
    claims = Claims()
    function(claims, *arguments, **options)
    return [c.holds for c in claims]


def test_ratios_are_of_pairs_that_both_reach():
    of = rows(A=[1.0, 2.0, None, 4.0], B=[2.0, None, 3.0, 4.0])
    assert claim.ratios(of, "A", "B", "l2").tolist() == [0.5, 1.0]
    assert claim.ratios(of, "A", "C", "l2").empty


@pytest.mark.parametrize(
    ("a", "expected"),
    [
        ([0.8, 0.82, 0.78, 0.8], True),
        ([1.2, 1.22, 1.18, 1.2], False),
        ([0.98, 0.99, 0.97, 0.98], None),  # by less than 3 %
        ([0.5, 1.6, 0.4, 1.1], None),  # by less than two standard errors
        ([0.8, None, None, None], None),
    ],
)
def test_smaller_needs_a_margin_and_agreement(a, expected):
    of = rows(A=a, B=[1.0] * 4)
    assert verdict(claim.smaller, "A is smaller", "here", claim.ratios(of, "A", "B", "l2")) == [expected]


def table(**methods):
    """Lines of cases: method=(asr, l2 best, average, worst)."""
    lines = [
        {"method": name, "case": case, "asr": asr, "l2": value, "linf": value}
        for name, (asr, *values) in methods.items()
        for case, value in zip(("best", "average", "worst"), values, strict=True)
    ]
    return pd.DataFrame(lines)


def test_smallest_is_asked_in_every_case_among_those_that_succeed():
    weak = {"W": (50, 0.1, 0.1, 0.1)}
    assert verdict(claim.smallest, table(A=(100, 1, 2, 3), B=(95, 2, 3, 4), **weak), "A", "l2", "here") == [True]
    assert verdict(claim.smallest, table(A=(100, 1, 2, 5), B=(95, 2, 3, 4), **weak), "A", "l2", "here") == [False]
    assert verdict(claim.smallest, table(A=(100, 1, 2, 3.95), B=(95, 2, 3, 4), **weak), "A", "l2", "here") == [None]
    assert verdict(claim.smallest, table(A=(80, 1, 2, 3), B=(95, 2, 3, 4)), "A", "l2", "here") == [False]


def test_rates_have_two_points_of_slack():
    lines = table(A=(99, 1, 2, 3), B=(97, 1, 2, 3), C=(10, 5, 5, 5))
    assert verdict(claim.always_succeeds, lines, ("A", "B"), "here") == [True, False]
    assert verdict(claim.weak_and_loud, lines, "C", "here") == [True, True]
    assert verdict(claim.weak_and_loud, lines, "A", "here") == [False, False]
    assert verdict(claim.weak_and_loud, table(A=(99, 1, 2, 3), C=(0, *[float("nan")] * 3)), "C", "here") == [True, None]
    assert verdict(claim.stays_below, lines, "A", 80, "here") == [False]
    assert verdict(claim.nearly_succeeds, lines, "A", 95, "here") == [True]
    assert verdict(claim.targets_differ, lines, "A", 2.4, "here") == [True]


@pytest.mark.parametrize(
    ("values", "rises", "expected"),
    [
        ([3, 2, 1], False, True),
        ([1, 2, 3], False, False),
        ([1, 2, 3], True, True),
        ([3, 1, 1.01], False, True),  # against it by less than 2 %
        ([3, 1, 1.1], False, False),
        ([1.02, 1.01, 1], False, False),  # hardly at all
    ],
)
def test_a_curve_falls_or_rises_at_every_step(values, rises, expected):
    curve = pd.Series(values, index=[0.1, 0.2, 0.4], dtype=float)
    assert verdict(claim.falls, curve, "l2", "here", rises) == [expected]


def test_shares_need_two_points_between_them():
    shares = pd.Series({"a": 0.10, "b": 0.115, "c": 0.2})
    assert verdict(claim.less, shares=shares, mine="a", theirs="b", text="fewer", place="here") == [None]
    assert verdict(claim.less, shares=shares, mine="a", theirs="c", text="fewer", place="here") == [True]
    assert verdict(claim.less, shares=shares, mine="c", theirs="a", text="fewer", place="here") == [False]
