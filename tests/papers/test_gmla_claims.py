"""Verdicts on hand-made rows."""

import pandas as pd
import pytest

from companion.papers.gmla import claims as claim
from companion.report import Claims


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


def why(function, *arguments, **options):
    """The reason for no verdict."""
    claims = Claims()
    function(claims, *arguments, **options)
    (made,) = claims
    assert made.holds is None
    return made.reason


HIGH, LOW = [0.9, 1.0, 0.8, 1.0, 0.9, 1.0], [0.1, 0.2, 0.1, 0.0, 0.2, 0.1]


def test_differences_are_of_shared_images_of_each_target_set():
    of = pd.concat([rows(A=HIGH, B=LOW[:4]), rows("y", A=LOW, B=HIGH)])
    lines = claim.differences(of, "A", "B", "fr_s", ["cell"])
    assert lines["sets"].tolist() == [4, 6]
    assert lines["value"].tolist() == pytest.approx([82.5, -900 * 49 / 540])
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


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([value - 0.01 for value in HIGH], HIGH, True),
        ([value - 0.03 for value in HIGH], HIGH, False),
        ([0.0, 0.9] * 3, [0.9, 0.1] * 3, None),  # below, but within two standard errors
        (HIGH[:5], LOW[:5], None),
    ],
)
def test_not_less_has_slack_and_error(a, b, expected):
    assert verdict(claim.not_less, rows(A=a, B=b), "A", "B", "fr_s", "here", ["cell"]) is expected


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_nothing_is_below_where_both_are_saturated(level):
    of = pd.concat([rows(A=HIGH, B=LOW), rows("y", A=[level] * 6, B=[level] * 6)])
    assert why(claim.not_less, of, "A", "B", "fr_s", "here", ["cell"]) == claim.SATURATED
    against = pd.concat([of, rows("z", A=LOW, B=HIGH)])
    assert verdict(claim.not_less, against, "A", "B", "fr_s", "here", ["cell"]) is False


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[0.1] * 5 + [0.0], [0.1] * 6], True),
        ([[0.1] * 6, [0.5] * 5 + [0.4]], False),  # one cell is enough
        ([[0.1] * 6, [0, 0, 0, 0, 1, 0]], None),
        ([[0, 1] * 3, [0, 1] * 3, [1, 0] * 3], False),  # each may be chance, all cannot
        ([[0.1] * 5, [0.1] * 5], None),  # too few target sets
    ],
)
def test_rarely_is_judged_in_every_cell(parts, expected):
    of = pd.concat([rows(name, "fr_n", A=rates) for name, rates in zip("xyz", parts, strict=False)])
    assert verdict(claim.rarely, of, "A", 16, "here", ["cell"]) is expected


def test_rarely_shows_the_worst_cell_first():
    of = pd.concat([rows("x", "fr_n", A=[0.1] * 6), rows("y", "fr_n", A=[0.5] * 6)])
    claims = Claims()
    claim.rarely(claims, of, "A", 16, "here", ["cell"])
    assert [made.ours for made in claims] == ["y 50 ± 0; x 10 ± 0; all together 30 ± 12"]


def test_a_ratio_is_that_of_the_sums_with_an_error():
    of = pd.concat([rows("x", "ntr_all", A=[0.4] * 3 + [0.2] * 3, B=[0.1] * 6), rows("y", "ntr_all", A=LOW, B=LOW)])
    lines = claim.flip_ratios(of, "A", "B", ["cell"])
    assert lines["value"].tolist() == pytest.approx([3, 1])
    assert lines["error"].tolist() == pytest.approx([2 * (1.2 / 6) ** 0.5, 0])
    assert lines["sets"].tolist() == [6, 6]
    (line,) = claim.last_to_first(lines).itertuples()
    assert (line.value, line.error) == pytest.approx((1 / 3, lines["error"].iloc[0] / 9))


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        ([0.3] * 6, True),
        ([0.1] * 6, False),
        ([0.0] * 6, False),  # more than any number of times
        ([0.9] * 6, False),
        ([0.15, 0.25] * 3, None),
        ([0.0] * 5, None),
    ],
)
def test_times_are_judged_by_paired_differences(b, expected):
    of = rows(measure="ntr_all", A=([1.0, 0.9] * 3)[: len(b)], B=b)
    assert verdict(claim.times, of, "A", "B", 2, 5, "here", ["cell"]) is expected


def test_a_ratio_of_nothing_has_no_verdict():
    lines = claim.flip_ratios(rows(measure="ntr_all", A=HIGH, B=[0.0] * 6), "A", "B", ["cell"])
    assert verdict(claim.within, "in range", "here", lines, 2, 5) is None


def test_shares_of_steps_count_every_step_alike():
    of = pd.DataFrame({"cell": "x", "target_set": [0, 0, 1], "projected": [1, 0, 5], "steps": [1, 3, 6]})
    (line,) = claim.step_shares(of, "projected", ["cell"]).itertuples()
    assert (line.value, line.sets) == (pytest.approx(60), 2)
    nothing = claim.step_shares(of[:0], "projected", ["cell"])
    assert why(claim.within, "in range", "here", nothing, low=85) == claim.FEW


def fooled(spread=0.02, sets=6, **by_dataset):
    """Rows of method A and one model, whose rates alternate around the mean of each data set."""
    parts = []
    for dataset, mean in by_dataset.items():
        part = rows(measure="fr_n", A=[mean + spread * (-1) ** i for i in range(sets)])
        parts.append(part.assign(dataset=dataset, model="m"))
    return pd.concat(parts)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (fooled(x=0.90, y=0.80), True),
        (fooled(x=0.80, y=0.90), False),
        (fooled(x=0.50, y=0.48), None),  # by two points only
        (fooled(x=0.90, y=0.80, spread=0.1), None),  # within the error
        (fooled(x=0.90, y=0.80, sets=5), None),
        (pd.concat([fooled(x=0.90, y=0.80), fooled(x=0.50, y=0.48).assign(model="n")]), None),
        (pd.concat([fooled(x=0.90, y=0.80), fooled(x=0.40, y=0.48).assign(model="n")]), False),
    ],
)
def test_lower_on_one_data_set_with_every_model(of, expected):
    assert verdict(claim.lower_on, of, "A", "y", "x", "here") is expected


@pytest.mark.parametrize(
    ("value", "error", "sets", "expected"),
    [(90, 1, 6, True), (80, 1, 6, False), (89, 2, 6, None), (87, 2, 6, None), (90, 1, 5, None), (88, 0, 6, True)],
)
def test_a_range_is_kept_by_more_than_the_error(value, error, sets, expected):
    lines = pd.DataFrame({"value": [95.0, value], "error": [1.0, error], "sets": [12, sets]}, index=["x", "y"])
    assert verdict(claim.within, "in range", "here", lines, low=88) is expected
    assert verdict(claim.within, "in range", "here", lines.assign(value=-lines["value"]), high=-88) is expected


def curve(*means, spread=0.0, sets=6):
    """A line a target set, whose values alternate by `spread` around the means at 0, 1, 2, ..."""
    return pd.DataFrame([[mean + spread * (-1) ** (i + j) for j, mean in enumerate(means)] for i in range(sets)])


@pytest.mark.parametrize(
    ("values", "rises", "falls"),
    [
        (curve(1, 3, 9), True, False),
        (curve(9, 3, 1), False, True),
        (curve(1, 5, 2), False, False),  # neither goes one way
        (curve(1, 3, 2.9, spread=0.2), None, False),  # hardly changes; falls: it rises before
        (curve(1, 5, 4.9, spread=0.2), True, False),  # back within the error
        (curve(1, 3, 9, sets=5), None, None),
    ],
)
def test_a_trend_goes_one_way_by_more_than_its_error(values, rises, falls):
    assert verdict(claim.trend, "rises", "here", values, 2) is rises
    assert verdict(claim.trend, "falls", "here", values, 2, rises=False) is falls


def test_a_plateau_is_one_by_more_than_its_error():
    values = curve(1, 3, 9)
    assert verdict(claim.flat, "flat", "here", values, 0, 8.5) is True
    assert verdict(claim.flat, "flat", "here", values, 0, 3) is False
    assert verdict(claim.flat, "flat", "here", values, 2, 0) is True  # one value is left
    assert verdict(claim.flat, "flat", "here", curve(1, 3, 9, spread=2), 1, 5) is None
    assert verdict(claim.flat, "flat", "here", curve(1, 3, 9, sets=5), 0, 8.5) is None


@pytest.mark.parametrize("values", [[100, 100, 100], [99.5, 100, 100], [0, 0.5, 0]])
def test_a_saturated_curve_carries_no_verdict(values):
    assert why(claim.flat, "flat", "here", curve(*values), 0, 5) == claim.SATURATED
    if min(values) > 0:
        assert why(claim.trend, "rises", "here", curve(*values), 0.1) == claim.SATURATED


def test_a_plateau_at_the_top_counts_where_the_curve_falls_elsewhere():
    assert verdict(claim.flat, "flat", "here", curve(60, 100, 100), 1, 5) is True
    assert verdict(claim.flat, "flat", "here", curve(60, 100, 100), 0, 5) is False


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
    assert verdict(claim.consistent_between, won("x", [0.9] * 6), "A", 88, 100, "here", ["cell"]) is True
    assert verdict(claim.consistent_between, won("x", [0.5] * 5), "A", 40, 60, "here", ["cell"]) is None


@pytest.mark.parametrize(
    ("mine", "expected"), [(LOW, True), (HIGH, False), ([0.5] * 6, None), ([0.0, 1.0] * 3, None), (LOW[:5], None)]
)
def test_fewer_of_the_successes_are_consistent(mine, expected):
    theirs = rows(B=([0.5] * 6)[: len(mine)]).assign(fr_n=1.0)
    of = pd.concat([won("x", mine), theirs])
    assert verdict(claim.less_consistent, of, "A", "B", "here", ["cell"]) is expected
