"""Verdicts on hand-made vectors and pairs."""

import pandas as pd
import pytest
import torch

from companion.papers.cmlu import figure_05
from companion.report import Claims


def verdict(check, *arguments, **options):
    claims = Claims()
    check(claims, *arguments, **options)
    (claim,) = claims
    return claim.holds


def test_unrelated():
    assert verdict(figure_05.unrelated, torch.tensor([0.01, -0.05]), "they are", "here") is True
    assert verdict(figure_05.unrelated, torch.tensor([0.01, -0.5]), "they are", "here") is False


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
    assert verdict(figure_05.both_off, pd.DataFrame(lines), "here") is expected


def points(images=15, **given):
    """One row a method and pair: name=([best of each pair], [share of each])."""
    lines = []
    for method, (best, share) in given.items():
        for k, (a, b) in enumerate(zip(best, share, strict=True)):
            line = {"method": method.replace("Or_", "Or-"), "omega": (0, k), "images": images}
            lines.append(line | {"best": a, "share": b})
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("oracle", "beta", "expected"),
    [
        (([20] * 4, [0] * 4), ([80] * 4, [10] * 4), (True, True)),
        (([80] * 4, [9] * 4), ([20] * 4, [4] * 4), (False, False)),
        (([50] * 4, [6] * 4), ([51] * 4, [10] * 4), (None, False)),  # a region, but one of the Oracle's as well
        (([20] * 4, [0] * 4), ([40] * 4, [0] * 4), (True, False)),  # no region at all
        (([20] * 4, [0, 9, 0, 9]), ([80, 10, 60, 0], [9, 20, 0, 20]), (None, None)),
    ],
)
def test_region(oracle, beta, expected):
    claims = Claims()
    figure_05.region(claims, points(Or_S=oracle, CMLU_beta=beta), "here")
    assert tuple(claim.holds for claim in claims) == expected


def test_region_needs_pairs_and_images():
    claims, table = Claims(), points(images=5, Or_S=([20] * 4, [0] * 4), CMLU_beta=([80] * 4, [10] * 4))
    figure_05.region(claims, table, "here")
    assert [claim.holds for claim in claims] == [None, None]


@pytest.mark.parametrize(
    ("gains", "images", "expected"),
    [
        ([5, 8, 6, 7], 90, True),
        ([0, -1, 0, 1], 90, True),  # no loss beyond the margin
        ([-20, -30, -10, -20], 90, False),
        ([-40, 30, 0, -6], 90, None),
        ([5, 8, 6, 7], 50, None),
        ([5, 8, 6], 90, None),
    ],
)
def test_adds(gains, images, expected):
    assert verdict(figure_05.adds, pd.Series(gains, dtype=float), images, "here") is expected


@pytest.mark.parametrize(
    ("both", "own", "other", "expected"),
    [
        ([80.0, 75, 70, 78], 97.0, 5.0, (True, True, True)),
        ([20.0, 25, 30, 22], 60.0, 60.0, (False, False, False)),
        ([90.0, 10, 80, 30], 91.0, 24.0, (None, None, None)),
    ],
)
def test_what_two_vectors_hide(both, own, other, expected):
    lines = []
    for k, share in enumerate(both):
        for name, off in (("first", (own, other)), ("second", (other, own)), ("sum", (share, share))):
            line = {"method": "CMLU_beta", "omega": (k, 9), "perturbation": name, "images": 40, "both": share}
            lines.append(line | {"off 1": off[0], "off 2": off[1]})
    claims = Claims()
    figure_05.hides(claims, pd.DataFrame(lines), "here")
    figure_05.one_label_each(claims, pd.DataFrame(lines), "here")
    assert tuple(claim.holds for claim in claims) == expected


@pytest.mark.parametrize(("with_term", "expected"), [(0.05, True), (0.2, False), (0.139, None)])
def test_orthogonality_helps_only_beyond_its_margin(with_term, expected):
    claims = Claims()
    figure_05.orthogonality_helps(claims, with_term, 0.141, "here")
    (claim,) = claims
    assert claim.holds is expected
