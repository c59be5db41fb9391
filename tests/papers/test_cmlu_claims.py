"""Verdicts on hand-made rates."""

import pandas as pd
import pytest

from companion.papers.cmlu import claims as cmlu_claims
from companion.report import Claims


def rows(size=2, images=40, **rates):
    """One row a method and set: name=[FR of each set] or ([FR], [NT_R], passes)."""
    lines = []
    for method, given in rates.items():
        fr, ntr, passes = given if isinstance(given, tuple) else (given, [5.0] * len(given), 100)
        for k, (a, b) in enumerate(zip(fr, ntr, strict=True)):
            line = {"method": method.replace("Or_", "Or-"), "omega": (size, k), "size": size, "images": images}
            lines.append(line | {"FR": a, "NT_R": b, "passes": passes})
    return pd.DataFrame(lines)


def verdict(check, *arguments, **options):
    claims = Claims()
    check(claims, *arguments, **options)
    (claim,) = claims
    return claim.holds


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([90, 80, 85, 95], [50, 45, 60, 40], True),
        ([50, 45, 60, 40], [90, 80, 85, 95], False),
        ([90, 80, 85, 95], [89, 79, 84, 94], None),  # within the margin
        ([90, 10, 80, 20], [10, 90, 20, 70], None),  # as often the one as the other
        ([90, 80, 85], [50, 45, 60], None),  # too few sets
    ],
)
def test_higher(mine, theirs, expected):
    table = rows(CMLU_beta=mine, SGA=theirs)
    assert verdict(cmlu_claims.higher, table, "CMLU_beta", "SGA", 2, "here") is expected


@pytest.mark.parametrize(("nag", "expected"), [(40.0, True), (99.0, None), (60.0, None)])
def test_what_is_said_of_nag_must_outlast_another_training(nag, expected):
    table = rows(CMLU_beta=[90.0] * 4, NAG=[nag] * 4)
    assert verdict(cmlu_claims.higher, table, "CMLU_beta", "NAG", 2, "here") is expected
    below = {True: False}.get(expected, expected)
    assert verdict(cmlu_claims.higher, table, "NAG", "CMLU_beta", 2, "here") is below


def test_order_judges_neighbours():
    table, claims = rows(NAG=[99.0] * 4, CMLU_alpha=[50.0] * 4, SGA=[70.0] * 4), Claims()
    cmlu_claims.order(claims, table, ("NAG", "CMLU_alpha", "SGA"), 2, "here")
    assert [claim.holds for claim in claims] == [True, False]
    assert [claim.text.partition(": ")[2] for claim in claims] == [
        "NAG has a higher FR than CMLU-α",
        "CMLU-α has a higher FR than SGA",
    ]


def test_few_images_give_no_verdict():
    table = rows(images=10, CMLU_beta=[90.0] * 4, Oracle=[10.0] * 4)
    assert verdict(cmlu_claims.higher, table, "CMLU_beta", "Oracle", 2, "here") is None
    assert verdict(cmlu_claims.near, table, 2, "here") is None
    assert verdict(cmlu_claims.same_drift, table, 2, "here") is None
    assert verdict(cmlu_claims.not_lower, table, "CMLU_beta", "Oracle", 2, "here") is None
    assert verdict(cmlu_claims.collapses, table, "CMLU_beta", "here") is None


@pytest.mark.parametrize(
    ("beta", "expected"), [([77, 78, 76, 77], True), ([50, 51, 49, 50], False), ([75, 79, 74, 78], None)]
)
def test_near(beta, expected):
    assert verdict(cmlu_claims.near, rows(CMLU_beta=beta, Oracle=[78.0] * 4), 2, "here") is expected


def test_near_gives_no_verdict_above_the_oracle():
    claims = Claims()
    cmlu_claims.near(claims, rows(CMLU_beta=[95.0] * 4, Oracle=[78.0] * 4), 2, "here")
    (claim,) = claims
    assert claim.holds is None
    assert "above the Oracle" in claim.reason


@pytest.mark.parametrize(
    ("mine", "expected"),
    [([48.5] * 4, True), ([90.0] * 4, True), ([40.0] * 4, False), ([10, 80, 20, 70], None), ([90, 30, 80, 30], None)],
)
def test_not_lower_forgives_the_margin_but_not_uneven_sets(mine, expected):
    table = rows(Or_C=mine, Or_S=[50.0] * 4)
    assert verdict(cmlu_claims.not_lower, table, "Or-C", "Or-S", 2, "here") is expected


@pytest.mark.parametrize(
    ("sums", "oracle", "expected"),
    [([2.0] * 4, [80.0] * 4, True), ([40.0] * 4, [80.0] * 4, False), ([0.0] * 4, [5.0] * 4, None)],
)
def test_collapses_only_where_the_oracle_works(sums, oracle, expected):
    table = rows(Or_S=sums, Oracle=oracle)
    assert verdict(cmlu_claims.collapses, table, "Or-S", "here") is expected
    both_down = rows(3, Or_S=[0.0] * 4, Oracle=[1.0] * 4)
    assert verdict(cmlu_claims.collapses, pd.concat([table, both_down]), "Or-S", "here") is expected


def test_an_uneven_collapse_gives_no_verdict():
    assert verdict(cmlu_claims.collapses, rows(Or_S=[0, 0, 0, 30], Oracle=[80.0] * 4), "Or-S", "here") is None


@pytest.mark.parametrize(("ntr", "expected"), [(6.0, True), (9.0, False), (7.4, None), (float("nan"), None)])
def test_same_drift(ntr, expected):
    table = rows(CMLU_beta=([50.0] * 4, [ntr] * 4, 1), Oracle=([50.0] * 4, [5.0] * 4, 1))
    assert verdict(cmlu_claims.same_drift, table, 2, "here") is expected


def test_cheaper_compares_with_the_sets_attacked_and_only_says_what_all_would_cost():
    single = rows(1, CMLU_beta=([90.0] * 8, [5.0] * 8, 800), Oracle=([90.0] * 8, [5.0] * 8, 800))
    pairs = rows(2, CMLU_beta=([90.0] * 4, [5.0] * 4, 800), Oracle=([90.0] * 4, [5.0] * 4, 400))
    claims = Claims()
    cmlu_claims.cheaper(claims, pd.concat([single, pairs]), 255, "here")
    (claim,) = claims
    assert claim.holds is True
    assert claim.text.startswith("by count")
    assert "for the 12 sets attacked; computed, not run: 25\u2009500 for all 255 sets" in claim.ours
    assert verdict(cmlu_claims.cheaper, single, 255, "here") is False


@pytest.mark.parametrize(
    ("later", "expected"), [([90.0] * 4, True), ([50.0] * 4, False), ([74.0] * 3 + [79.0], None), ([90.0] * 3, True)]
)
def test_stays_above_at_every_size_that_can_be_judged(later, expected):
    table = pd.concat([rows(1, Oracle=[95.0] * 8), rows(2, Oracle=later)])
    assert verdict(cmlu_claims.stays_above, table, "Oracle", 75, "here") is expected


def test_stays_above_without_sets():
    assert verdict(cmlu_claims.stays_above, rows(1, Oracle=[95.0] * 3), "Oracle", 75, "here") is None


@pytest.mark.parametrize(
    ("fr", "expected"), [([1.0] * 4, True), ([40.0] * 4, False), ([0, 30, 2, 1], None), ([1.0] * 3, None)]
)
def test_gone_by(fr, expected):
    assert verdict(cmlu_claims.gone_by, rows(3, Oracle=fr), "Oracle", 3, "here") is expected


@pytest.mark.parametrize(
    ("method", "ntr", "expected"),
    [
        ("SGA", 6.0, True),
        ("SGA", 4.0, False),
        ("SGA", 5.1, None),
        ("NAG", 6.0, None),
        ("NAG", 12.0, True),
    ],
)
def test_drift_rises(method, ntr, expected):
    table = pd.concat([rows(1, **{method: [90.0] * 4}), rows(2, **{method: ([90.0] * 4, [ntr] * 4, 1)})])
    assert verdict(cmlu_claims.drift_rises, table, method, "here") is expected


def test_one_size_has_no_drift_to_rise():
    assert verdict(cmlu_claims.drift_rises, rows(NAG=[90.0] * 4), "NAG", "here") is None


@pytest.mark.parametrize(
    ("method", "ntr", "expected"),
    [
        ("Or-C", 9.0, True),
        ("Or-C", 4.0, False),
        ("Or-C", 6.1, None),
        ("Or-C", float("nan"), None),
        ("NAG", 9.0, None),
        ("NAG", 13.0, True),
    ],
)
def test_highest_drift(method, ntr, expected):
    mine = {method.replace("-", "_"): ([90.0] * 4, [ntr] * 4, 1)}
    table = rows(**mine, Oracle=([90.0] * 4, [6.0] * 4, 1), SGA=([0.0] * 4, [5.0] * 4, 1))
    assert verdict(cmlu_claims.highest_drift, table, method, 2, "here") is expected


@pytest.mark.parametrize(
    ("curve", "rises", "expected"),
    [
        ([1, 5, 9], True, True),
        ([1, 5, 9], False, False),
        ([1, 9, 8], True, True),
        ([1, 9, 6], True, None),  # back by more than the margin
        ([1, 9, 4], True, False),  # by more than twice of it
        ([5, 5.1, 5.2], True, None),
        ([float("nan"), 5, 9], True, None),
    ],
)
def test_monotone(curve, rises, expected):
    assert verdict(cmlu_claims.monotone, "it moves", pd.Series(curve), "here", rises) is expected


@pytest.mark.parametrize(("last", "expected"), [(70.0, True), (89.0, False), (85.5, None)])
def test_falls_faster(last, expected):
    curves = {"CMLU_beta": pd.Series([90.0, last]), "Oracle": pd.Series([90.0, 85.0])}
    assert verdict(cmlu_claims.falls_faster, curves, "CMLU_beta", "Oracle", "it does", "here") is expected


@pytest.mark.parametrize(
    ("beta", "oracle", "expected"),
    [
        ([2, 4, 6], [2, 6, 14], True),
        ([2, 4, 7], [2, 6, 16], False),  # not in proportion
        ([2, 4, 6], [2, 4, 6], False),  # the Oracle no worse
    ],
)
def test_linear(beta, oracle, expected):
    lines = [
        {"method": method, "labels": count, "passes": made}
        for method, curve in (("CMLU_beta", beta), ("Oracle", oracle))
        for count, made in enumerate(curve, 1)
    ]
    assert verdict(cmlu_claims.linear, pd.DataFrame(lines), "here") is expected


@pytest.mark.parametrize(
    ("nag", "expected"),
    [
        ([52.0, 48, 50, 51], True),
        ([80.0, 82, 78, 81], False),
        ([60.0, 61, 59, 60], None),  # at the edge
        ([90.0, 10, 80, 20], None),  # too uneven
        ([50.0] * 3, None),  # too few sets
    ],
)
def test_alike_and_drops_to(nag, expected):
    table = rows(SGA=nag, CMLU_alpha=[50.0] * len(nag))
    assert verdict(cmlu_claims.alike, table, "SGA", "CMLU_alpha", 2, "here") is expected
    assert verdict(cmlu_claims.drops_to, table, "SGA", 50, 2, "here") is expected


def test_nag_can_be_far_from_another_but_not_near():
    table = rows(NAG=[99.0] * 4, CMLU_alpha=[30.0] * 4)
    assert verdict(cmlu_claims.alike, table, "NAG", "CMLU_alpha", 2, "here") is False
    assert verdict(cmlu_claims.drops_to, table, "NAG", 99, 2, "here") is None


@pytest.mark.parametrize(
    ("method", "last", "expected"),
    [("SGA", 40.0, True), ("SGA", 95.0, False), ("SGA", 89.0, None), ("NAG", 40.0, True), ("NAG", 60.0, None)],
)
def test_falls(method, last, expected):
    table = pd.concat(
        [rows(1, **{method: [90.0] * 4}), rows(2, **{method: [last] * 4}), rows(3, **{method: [0.0] * 2})]
    )
    assert verdict(cmlu_claims.falls, table, method, "here") is expected


@pytest.mark.parametrize(("sga", "expected"), [(5.0, True), (60.0, False), (39.0, None)])
def test_worst_speaks_of_the_largest_size_that_can_be_judged(sga, expected):
    rest = dict.fromkeys(("Oracle", "CMLU_alpha", "CMLU_beta"), [40.0] * 4) | {"NAG": [99.0] * 4}
    table = pd.concat(
        [
            rows(1, **dict.fromkeys(("Or_S", "Or_C", "SGA"), [99.0] * 4), **rest),
            rows(3, Or_S=[0.0] * 4, Or_C=[1.0] * 4, SGA=[sga] * 4, **rest),
            rows(5, images=1, **dict.fromkeys(("Or_S", "Or_C", "SGA"), [99.0] * 4), **rest),
        ]
    )
    assert verdict(cmlu_claims.worst, table, ("Or-S", "Or-C", "SGA"), "here") is expected
