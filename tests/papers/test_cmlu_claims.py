"""Verdicts on hand-made rates."""

import pandas as pd
import pytest
import torch

from flipbook.papers import cmlu_claims
from flipbook.report import Claims


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
    table = rows(CMLU_beta=mine, NAG=theirs)
    assert verdict(cmlu_claims.higher, table, "CMLU_beta", "NAG", 2, "here") is expected


def test_few_images_give_no_verdict():
    table = rows(images=10, CMLU_beta=[90.0] * 4, Oracle=[10.0] * 4)
    assert verdict(cmlu_claims.higher, table, "CMLU_beta", "Oracle", 2, "here") is None
    assert verdict(cmlu_claims.near, table, 2, "here") is None
    assert verdict(cmlu_claims.same_drift, table, 2, "here") is None
    assert verdict(cmlu_claims.not_lower, table, "CMLU_beta", "Oracle", 2, "here") is None
    assert verdict(cmlu_claims.collapses, table, "CMLU_beta", "here") is None


@pytest.mark.parametrize(
    ("beta", "expected"), [([97, 98, 96, 97], True), ([70, 71, 69, 70], False), ([95, 99, 94, 98], None)]
)
def test_near(beta, expected):
    assert verdict(cmlu_claims.near, rows(CMLU_beta=beta, Oracle=[98.0] * 4), 2, "here") is expected


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
    assert verdict(cmlu_claims.collapses, rows(Or_S=sums, Oracle=oracle), "Or-S", "here") is expected


@pytest.mark.parametrize(("ntr", "expected"), [(6.0, True), (9.0, False), (7.4, None), (float("nan"), None)])
def test_same_drift(ntr, expected):
    table = rows(CMLU_beta=([50.0] * 4, [ntr] * 4, 1), Oracle=([50.0] * 4, [5.0] * 4, 1))
    assert verdict(cmlu_claims.same_drift, table, 2, "here") is expected


def test_cheaper_compares_with_all_sets():
    table = rows(1, CMLU_beta=([90.0] * 8, [5.0] * 8, 800), Oracle=([90.0] * 8, [5.0] * 8, 800))
    assert verdict(cmlu_claims.cheaper, table, 255, "here") is True
    assert verdict(cmlu_claims.cheaper, table, 9, "here") is False


@pytest.mark.parametrize(
    ("curve", "rises", "expected"),
    [
        ([1, 5, 9], True, True),
        ([1, 5, 9], False, False),
        ([1, 9, 5], True, False),
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


def test_unrelated():
    assert verdict(cmlu_claims.unrelated, torch.tensor([0.01, -0.05]), "they are", "here") is True
    assert verdict(cmlu_claims.unrelated, torch.tensor([0.01, -0.5]), "they are", "here") is False


@pytest.mark.parametrize(
    ("oracle", "beta", "images", "expected"),
    [
        ([10] * 4, [80] * 4, 20, True),
        ([80] * 4, [10] * 4, 20, False),
        ([50] * 4, [55] * 4, 20, None),
        ([10, 90, 20, 70], [90, 10, 80, 40], 20, None),
        ([10] * 4, [80] * 4, 5, None),
        ([10] * 3, [80] * 3, 90, None),
    ],
)
def test_both_off_looks_at_the_sum_alone(oracle, beta, images, expected):
    lines = []
    for method, values in (("Or-S", oracle), ("CMLU_beta", beta)):
        for k, both in enumerate(values):
            for perturbation, value in (("first", 100), ("sum", both)):
                line = {"method": method, "omega": (0, k), "perturbation": perturbation}
                lines.append(line | {"images": images, "both": value})
    assert verdict(cmlu_claims.both_off, pd.DataFrame(lines), "here") is expected


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


def test_sets_that_are_too_rare_give_no_verdict_and_others_must_be_attacked():
    counts = pd.DataFrame({"size": [4, 5, 10], "images": [90, 20, 9], "most": [30, 9, 2]})
    assert verdict(cmlu_claims.too_rare, counts, 5, "many", "here", 8) is None
    with pytest.raises(ValueError, match="more than 4 labels has 9 images"):
        verdict(cmlu_claims.too_rare, counts, 4, "many", "here", 8)
