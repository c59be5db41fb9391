"""Verdicts on hand-made rows."""

import pandas as pd
import pytest

from flipbook.papers.gmla import claims as claim
from flipbook.report import Claims


def rows(cell="x", measure="fr_s", **methods):
    """Rows of one image a target set: method=[rate of every set]."""
    lines = [
        {"cell": cell, "method": name, "target_set": i, "image": i, measure: value}
        for name, values in methods.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(lines)


def verdict(function, *arguments, **options):
    claims = Claims()
    function(claims, *arguments, **options)
    (made,) = claims
    return made.holds


HIGH, LOW = [0.9, 1.0, 0.8, 1.0, 0.9, 1.0], [0.1, 0.2, 0.1, 0.0, 0.2, 0.1]


def test_differences_are_of_shared_images_of_each_target_set():
    of = pd.concat([rows(A=HIGH, B=LOW[:4]), rows("y", A=LOW, B=HIGH)])
    lines = claim.differences(of, "A", "B", "fr_s", ["cell"])
    assert lines["sets"].tolist() == [4, 6]
    assert lines["difference"].tolist() == pytest.approx([82.5, -900 * 49 / 540])
    assert (lines["error"] > 0).all()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([rows(A=HIGH, B=LOW)], True),
        ([rows(A=HIGH, B=LOW), rows("y", A=LOW, B=HIGH)], False),
        ([rows(A=HIGH, B=LOW), rows("y", A=LOW, B=LOW)], None),  # one comparison is too close
        ([rows(A=[0.0, 1.0] * 3, B=[1.0, 0.0, 1.0, 0.0, 1.0, 0.3])], None),  # within two standard errors
        ([rows(A=HIGH[:5], B=LOW[:5])], None),  # too few target sets
    ],
)
def test_more_everywhere(parts, expected):
    assert verdict(claim.more, pd.concat(parts), "A", "B", "fr_s", "here", ["cell"]) == expected


def test_not_less_has_slack():
    a = [value - 0.01 for value in HIGH]
    assert verdict(claim.not_less, rows(A=a, B=HIGH), "A", "B", "fr_s", "here", ["cell"])
    a = [value - 0.03 for value in HIGH]
    assert not verdict(claim.not_less, rows(A=a, B=HIGH), "A", "B", "fr_s", "here", ["cell"])


@pytest.mark.parametrize(
    ("rates", "expected"), [([0.1] * 5 + [0.0], True), ([0.5] * 5 + [0.4], False), ([0, 0, 0, 0, 1, 0], None)]
)
def test_rarely_pools_all_cells(rates, expected):
    of = pd.concat([rows(measure="fr_n", A=rates), rows("y", measure="fr_n", A=rates)])
    assert verdict(claim.rarely, of, "A", 16, "here", ["cell"]) == expected


def table():
    lines = [
        ("A", "x", "m", 90, 45, 1),
        ("A", "y", "m", 80, 80, 2),
        ("B", "x", "m", 50, 5, 4),
        ("B", "y", "m", 48, 5, 4),
    ]
    return pd.DataFrame(lines, columns=["method", "dataset", "model", "FR_N", "FR_S", "NT_R"])


def test_ratios_by_cell():
    assert claim.consistent_share(table(), "A", ["dataset"]).to_dict() == {"x": 0.5, "y": 1.0}
    assert claim.flip_ratio(table(), "A", "B", ["dataset"]).to_dict() == {"x": 0.25, "y": 0.5}


def test_lower_on_one_data_set_with_every_model():
    assert verdict(claim.lower_on, table(), "A", "y", "x", "here") is True
    assert verdict(claim.lower_on, table(), "A", "x", "y", "here") is False
    assert verdict(claim.lower_on, table(), "B", "y", "x", "here") is None  # by two points only


def test_ranges_and_shares():
    values = pd.Series({"x": 0.9, "y": 1.0})
    assert verdict(claim.within, "in range", "here", values, 0.88, 1)
    assert not verdict(claim.within, "in range", "here", values, 0.95, 1)
    assert verdict(claim.share, "most", "here", 0.9, 0.85)
    assert not verdict(claim.share, "most", "here", 0.8, 0.85)


@pytest.mark.parametrize(
    ("values", "rises", "falls"), [([1, 3, 9], True, False), ([9, 3, 1], False, True), ([1, 5, 2], None, None)]
)
def test_a_trend_is_from_end_to_end(values, rises, falls):
    curve = pd.Series(values, dtype=float)
    assert verdict(claim.trend, "rises", "here", curve, 2) is rises
    assert verdict(claim.trend, "falls", "here", curve, 2, rises=False) is falls
    assert verdict(claim.flat, "flat", "here", curve, 0, 8)
    assert not verdict(claim.flat, "flat", "here", curve, 0, 3)
    assert verdict(claim.flat, "flat", "here", curve, 2, 0)  # one value is left


@pytest.mark.parametrize("values", [[100, 100, 100], [99.5, 100, 100], [0, 0.5, 0]])
def test_a_saturated_curve_carries_no_verdict(values):
    claims = Claims()
    claim.flat(claims, "flat", "here", pd.Series(values, index=[-1, 0, 1], dtype=float), 0, 5)
    (made,) = claims
    assert (made.holds, made.reason) == (None, claim.SATURATED)


def test_a_plateau_at_the_top_counts_where_the_curve_falls_elsewhere():
    curve = pd.Series([60, 100, 100], index=[-1, 0, 1], dtype=float)
    assert verdict(claim.flat, "flat", "here", curve, 0, 5) is True
    assert verdict(claim.flat, "flat", "here", curve, -1, 5) is False


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([rows(A=LOW, B=HIGH), rows("y", A=LOW, B=HIGH)], True),
        ([rows(A=LOW, B=HIGH), rows("y", A=LOW, B=LOW)], True),  # a tie, and a sure one
        ([rows(A=LOW, B=HIGH), rows("y", A=HIGH, B=LOW)], False),
        ([rows(A=LOW, B=HIGH), rows("y", A=[0.0, 1.0] * 3, B=[1.0, 0.0] * 3)], None),  # a tie that may be none
        ([rows(A=LOW[:5], B=HIGH[:5])], None),  # too few target sets
    ],
)
def test_not_more_is_less_or_a_sure_tie(parts, expected):
    assert verdict(claim.not_more, pd.concat(parts), "A", "B", "fr_s", "here", ["cell"], 0.2) is expected


def won(cell, shares):
    """Rows of a method that always succeeds, consistently in these shares of each target set."""
    return rows(cell, A=shares).assign(fr_n=1.0)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[0.5, 0.5, 0.6, 0.4, 0.5, 0.5], [0.6] * 6], True),
        ([[0.5] * 6, [0.9, 0.8, 0.9, 0.8, 0.9, 0.8]], False),  # one cell is outside
        ([[0.5] * 6, [0.1] * 6], False),
        ([[0.5] * 6, [0.2, 1.0, 1.0, 0.2, 1.0, 1.0]], None),  # outside, but perhaps by chance
        ([[0.0, 1.0] * 3, [1.0, 0.0] * 3], None),  # inside, but all together too close to the ends
    ],
)
def test_the_consistent_share_lies_between(parts, expected):
    of = pd.concat([won(name, shares) for name, shares in zip("xy", parts, strict=True)])
    assert verdict(claim.consistent_between, of, "A", 31, 71, "here", ["cell"]) is expected


def test_the_consistent_share_is_that_of_successes():
    of = won("x", [0.3] * 6).assign(fr_n=0.5)
    assert verdict(claim.consistent_between, of, "A", 55, 65, "here", ["cell"]) is True
