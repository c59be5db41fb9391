"""Verdicts on hand-made lines of universal perturbations."""

import pandas as pd
import pytest

from companion.papers.masw import universals
from companion.report import Claims


def lines(measure="asr", cells=4, **methods):
    """A line for every cell of each method: a number for all, or a list."""
    made = []
    for name, values in methods.items():
        values = values if isinstance(values, list) else [values] * cells
        made += [{"dataset": "VOC 2012", "k": k, "method": name, measure: value} for k, value in enumerate(values)]
    return pd.DataFrame(made)


def verdict(check, *arguments, **options):
    claims = Claims()
    check(claims, *arguments, **options)
    (one,) = claims
    return one.holds


@pytest.mark.parametrize(
    ("mine", "expected"),
    [(60.0, True), (40.0, False), (51.0, None), ([90.0, 30.0, 85.0, 35.0], None), ([90.0] * 3, None)],
)
def test_ahead_needs_a_margin_agreement_and_cells(mine, expected):
    assert verdict(universals.ahead, lines(A=mine, B=50.0), "A", "B", "asr", "here") is expected


@pytest.mark.parametrize(("third", "expected"), [(20.0, True), (80.0, False), (59.0, None)])
def test_best_and_lowest_look_at_every_rival(third, expected):
    table = lines(A=60.0, B=50.0, C=third)
    assert verdict(universals.best, table, "A", "asr", "here") is expected
    turned = table.assign(asr=100 - table["asr"])
    assert verdict(universals.lowest, turned, "A", "asr", "here") is expected


def test_a_clear_loss_to_one_rival_outweighs_a_tie_with_another():
    assert verdict(universals.best, lines(A=60.0, B=60.0, C=80.0), "A", "asr", "here") is False


@pytest.mark.parametrize(("mine", "more", "less"), [(10.0, False, True), (20.0, True, False), (10.4, None, None)])
def test_sizes_are_compared_by_their_ratio(mine, more, less):
    table = lines("pert", A=mine, B=10.0 if mine != 10 else 15.0)
    assert verdict(universals.larger, table, "A", "B", "pert", "here", "it is") is more
    assert verdict(universals.not_larger, table, "A", "B", "pert", "here", "it is not") is less


def test_few_cells_give_no_verdict():
    table = lines("pert", cells=3, A=10.0, B=30.0)
    assert verdict(universals.larger, table, "A", "B", "pert", "here", "it is") is None
    assert verdict(universals.not_larger, table, "A", "B", "pert", "here", "it is not") is None


@pytest.mark.parametrize(("last", "rises", "expected"), [(20.0, False, True), (20.0, True, False), (89.0, False, None)])
def test_with_k(last, rises, expected):
    table = pd.concat(
        [lines(cells=2, A=[90.0, last], B=[90.0, last]).assign(dataset=name) for name in ("VOC 2012", "COCO 2014")]
    )
    assert verdict(universals.with_k, table, ["A", "B"], (0, 1), "asr", "here", rises, "it does") is expected


@pytest.mark.parametrize(("here", "expected"), [(90.0, True), (52.0, False), (61.0, None), ([95.0, 45.0] * 2, None)])
def test_wider(here, expected):
    there = lines("lfr", A=60.0, B=50.0)
    assert verdict(universals.wider, lines("lfr", A=here, B=50.0), there, "A", "B", "lfr", "here") is expected


@pytest.mark.parametrize(
    ("ends", "rise", "best"),
    [([40, 80], True, False), ([80, 40], False, True), ([58, 61], None, None), ([[30, 80], [80, 60]], None, None)],
)
def test_patience_needs_both_orders(ends, rise, best):
    ends = ends if isinstance(ends[0], list) else [ends, ends]
    table = pd.DataFrame(
        [{"seed": i, "E": E, "asr": v} for i, of in enumerate(ends) for E, v in zip((1, 5), of, strict=True)]
    )
    assert verdict(universals.gains, table, 1, 5, "it rises", "here") is rise
    if best is not None:
        assert verdict(universals.highest_at, table, 1, "it is best", "here") is best


@pytest.mark.parametrize(
    ("mine", "images", "expected"), [(0.9, 10, True), (0.2, 10, False), (0.51, 10, None), (0.9, 5, None)]
)
def test_clearer(mine, images, expected):
    rows = pd.DataFrame(
        [
            {"dataset": "VOC 2012", "case": "", "k": 3, "image": i, "method": name, "true": value}
            for name, value in (("A", mine), ("B", 0.5))
            for i in range(images)
        ]
    )
    assert verdict(universals.clearer, rows, "A", "B", "true", "here", "it is") is expected
