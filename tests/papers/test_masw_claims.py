"""Verdicts on hand-made rows."""

import pandas as pd
import pytest

from companion.papers.masw import claims as claim
from companion.report import Claims


def rows(measure="lfr", images=10, case="", k=3, dataset="VOC 2012", **methods):
    """Rows with a value for every image of each method: a number for all, or a list."""
    lines = []
    for name, values in methods.items():
        values = values if isinstance(values, list) else [values] * images
        lines += [
            {"dataset": dataset, "case": case, "k": k, "image": i, "method": name, "success": True, measure: value}
            for i, value in enumerate(values)
        ]
    return pd.DataFrame(lines)


def verdict(function, *arguments, **options):
    claims = Claims()
    function(claims, *arguments, **options)
    return [c.holds for c in claims]


@pytest.mark.parametrize(
    ("mine", "expected"),
    [
        (1.0, True),
        (0.8, False),
        (0.905, None),  # by half a point
        ([0.5, 1.0] * 5, None),  # below 0.9 on average, but by less than its error
        ([1.0] * 4, None),  # four images
    ],
)
def test_more_needs_a_margin_agreement_and_images(mine, expected):
    assert verdict(claim.more, rows(A=mine, B=0.9), "A", "B", "lfr", "here") == [expected]


@pytest.mark.parametrize(
    ("mine", "expected"), [(0.9, True), (0.885, True), (0.8, False), ([0.5, 1.0] * 5, None), ([1.0] * 4, None)]
)
def test_not_below_has_two_points_of_slack(mine, expected):
    assert verdict(claim.not_below, rows(A=mine, B=0.9), "A", "B", "lfr", "here") == [expected]


def test_the_blocks_of_an_image_count_as_one():
    many = pd.concat([rows(k=k, A=[1.0] * 9 + [0.0], B=0.9) for k in (3, 5, 10)])
    once, _, images = claim.gap(rows(A=[1.0] * 9 + [0.0], B=0.9), "A", "B", "lfr")
    difference, error, same = claim.gap(many, "A", "B", "lfr")
    assert (difference, images) == (pytest.approx(once), same) == (pytest.approx(0.0), 10)
    assert error == pytest.approx(20.0)  # not smaller with more blocks of the same images
    assert claim.gap(rows(A=1.0), "A", "B", "lfr")[2] == 0


def test_sizes_are_compared_where_both_succeed():
    of = rows("l2", A=[1.0] * 9 + [50.0], B=1.05)
    of.loc[9, "success"] = False
    assert claim.ratio(of, "A", "B", "l2")[0] == pytest.approx(1 / 1.05)
    assert verdict(claim.comparable, of, "A", "B", "here") == [True]
    assert verdict(claim.comparable, rows("l2", A=1.0, B=1.3), "A", "B", "here") == [False]
    assert verdict(claim.comparable, rows("l2", images=3, A=1.0, B=1.0), "A", "B", "here") == [None]
    assert verdict(claim.smaller, rows("iterations", A=10.0, B=20.0), "A", "B", "iterations", "here", "fewer") == [True]
    assert verdict(claim.smaller, rows("iterations", A=20.0, B=10.0), "A", "B", "iterations", "here", "fewer") == [
        False
    ]
    assert verdict(claim.smaller, rows("iterations", A=10.0, B=10.2), "A", "B", "iterations", "here", "fewer") == [None]


def test_a_lead_may_be_larger_elsewhere():
    small, large = rows(A=0.95, B=0.9), rows(A=0.9, B=0.6, dataset="NUS-WIDE")
    assert verdict(claim.larger_gap, large, small, "A", "B", "lfr", "here") == [True]
    assert verdict(claim.larger_gap, small, large, "A", "B", "lfr", "here") == [False]
    assert verdict(claim.larger_gap, small, small, "A", "B", "lfr", "here") == [None]


def series(method, column, values, images=10):
    """Rows of a method whose ASR has these values (in tenths) at each value of a column."""
    return pd.concat([
        rows("success", images, **{method: [float(i < share * images) for i in range(images)]}).assign(**{column: at})
        for at, share in values.items()
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"best": 0.9, "random": 0.7, "worst": 0.5}, True),
        ({"best": 0.9, "random": 0.9, "worst": 0.5}, True),
        ({"best": 0.9, "random": 0.4, "worst": 0.9}, False),
        ({"best": 0.9, "random": 0.9, "worst": 0.9}, None),
    ],
)
def test_cases_are_ordered_for_every_method(values, expected):
    of = series("TkML", "case", values)
    assert verdict(claim.ordered, of, ["TkML"], "case", list(values), "success", "here", "harder") == [expected]
    flat = series("MASW", "case", dict.fromkeys(values, 0.5))
    both = pd.concat([of, flat])
    assert verdict(claim.ordered, both, ["TkML", "MASW"], "case", list(values), "success", "here", "harder") == [
        expected
    ]


def test_perturbations_grow_with_k():
    of = pd.concat([rows("l2", k=3, kFool=1.0), rows("l2", k=10, kFool=2.5)])
    assert verdict(claim.grows, of, "kFool", (3, 10), "here") == [True]
    assert verdict(claim.grows, of, "kFool", (3, 10), "here", least=2) == [True]
    assert verdict(claim.grows, of, "kFool", (3, 10), "here", least=3) == [False]
    assert verdict(claim.grows, of, "kFool", (10, 3), "here") == [False]


def table(images=10, **methods):
    """Lines of a table: method=(asr, sasr, pert of successes)."""
    lines = [
        {"dataset": "VOC 2012", "case": "", "k": k, "method": name, "asr": asr, "sasr": sasr,
         "pert": pert, "lfr": asr + k * (name != "GAMA"), "images": images}
        for name, (asr, sasr, pert) in methods.items() for k in (3, 5)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_claims_about_whole_tables():
    lines = table(
        MASW=(98, 99, 0.5), TkML=(95, 96, 0.5), FGSM=(20, 30, 3.0), GAMA=(70, 70, 1.0), **{"MI-FGSM": (15, 20, 0.2)}
    )
    assert verdict(claim.leaders, lines, ["MASW", "TkML"], "here") == [True]
    assert verdict(claim.leaders, lines, ["MASW", "FGSM"], "here") == [False]
    assert verdict(claim.leaders, lines[lines["method"] != "GAMA"].assign(images=2), ["MASW", "TkML"], "here") == [None]
    assert verdict(claim.below, lines, ["FGSM", "MI-FGSM"], 25, "here") == [True]
    assert verdict(claim.below, lines, ["FGSM", "GAMA"], 25, "here") == [False]
    assert verdict(claim.smallest, lines, "MI-FGSM", "here") == [True]
    assert verdict(claim.smallest, lines, "MASW", "here") == [False]
    never = lines.assign(pert=lines["pert"].where(lines["method"] != "MI-FGSM"))
    assert verdict(claim.smallest, never, "MI-FGSM", "here") == [None]
    assert verdict(claim.bounded_by, lines, "here") == [True]
    assert verdict(claim.bounded_by, lines.assign(sasr=50), "here") == [False]
    assert verdict(claim.same_for_all_k, lines, ["GAMA"], "here") == [True]
    assert verdict(claim.same_for_all_k, lines, ["MASW"], "here") == [False]
    assert verdict(claim.same_for_all_k, lines, ["LPD"], "here") == []


def test_the_ball_is_reached_by_most():
    of = rows("l2", FGSM=[1.0] * 6 + [0.5] * 4)
    assert verdict(claim.at_the_ball, of, "FGSM", {"VOC 2012": 1.05}, "here") == [True]
    assert verdict(claim.at_the_ball, of, "FGSM", {"VOC 2012": 1.2}, "here") == [False]


def test_curves():
    assert verdict(claim.trend, "rises", "here", pd.Series([1.0, 5.0])) == [True]
    assert verdict(claim.trend, "falls", "here", pd.Series([1.0, 5.0]), rises=False) == [False]
    assert verdict(claim.trend, "rises", "here", pd.Series([1.0, 1.5])) == [None]
    curve = pd.Series({1.005: 90.0, 1.01: 95.0, 1.05: 80.0})
    assert verdict(claim.best_at, "best", "here", curve, 1.01) == [True]
    assert verdict(claim.best_at, "best", "here", curve, 1.05) == [False]
    assert verdict(claim.best_at, "best", "here", curve.replace(90.0, 94.5), 1.01) == [None]
