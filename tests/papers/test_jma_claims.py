"""Verdicts on hand-made rows."""

import pandas as pd
import pytest

from companion.papers.jma import claims as jma_claims
from companion.report import Claims


def rows(**methods):
    """One row per image: name=(parameters, [iterations or None for a failure], mse)."""
    lines = []
    for name, configs in methods.items():
        for parameters, iterations, mse in configs:
            for image, n in enumerate(iterations):
                line = {
                    "method": name.replace("_", "-"),
                    "parameters": parameters,
                    "image": image,
                    "reached": n is not None,
                }
                line |= {
                    "iterations": n or 0,
                    "mse": mse if n is not None else 9.0,
                    "forwards": n or 50,
                    "backwards": n or 50,
                }
                lines.append(line | {"first_success": n or -1})
    columns = {
        "reached_8bit": True,
        "reached_logits": True,
        "distance": 0,
        "distance_before": 2,
        "psnr": 40.0,
        "ssim": 0.9,
    }
    return pd.DataFrame(lines).assign(**columns, l2=1.0, linf=0.1, seconds=0.1)


def verdict(function, *arguments, **options):
    claims = Claims()
    function(claims, *arguments, "Table VI", **options)
    return [claim.holds for claim in claims]


@pytest.mark.parametrize(("second", "holds"), [([6, 8, 8], True), ([6, 6, 8], False)])
def test_one_shot_share_must_be_equal(second, holds):
    table = rows(JMA=[("(0.1, 200)", [6, 9, 9], 1.0), ("(0.5, 200)", second, 2.0)])
    assert verdict(jma_claims.one_shot, table) == [holds]


def test_no_one_shot_at_all_has_no_verdict():
    table = rows(JMA=[("(0.1, 200)", [7, 9, 9], 1.0), ("(0.5, 200)", [8, 8, 8], 2.0)])
    assert verdict(jma_claims.one_shot, table) == [None]


def test_rows_with_our_own_options_do_not_count():
    table = rows(JMA=[("(0.1, 200)", [6, 9, 9], 1.0), ("(0.5, 200), kappa = 0.1", [6, 6, 6], 2.0)])
    assert verdict(jma_claims.one_shot, table) == [True]


@pytest.mark.parametrize(
    ("iterations", "mse", "expected"), [([8, 7, 9], 2.0, [True, True]), ([18, 17, 19], 0.5, [False, False])]
)
def test_larger_steps(iterations, mse, expected):
    table = rows(JMA=[("(0.5, 200)", iterations, mse), ("(0.1, 200)", [12, 10, 14], 1.0)])
    assert verdict(jma_claims.larger_steps, table) == expected


def test_larger_steps_without_common_images_has_no_verdict():
    table = rows(JMA=[("(0.5, 200)", [None, 7], 1.0), ("(0.1, 200)", [8, None], 1.0)])
    assert verdict(jma_claims.larger_steps, table) == [None]


def test_cheaper_compares_the_most_successful_rows():
    table = rows(
        JMA=[("(0.1, 200)", [20, 20], 1.0)], ML_C=[("(1, 1, 1)", [5, None], 1.0), ("(2, 1, 1)", [30, 30], 1.0)]
    )
    assert verdict(jma_claims.cheaper, table, "ML-C") == [True, True]


def test_close_means_have_no_verdict():
    table = rows(JMA=[("(0.1, 200)", [20, 20], 1.0)], LOTS=[("2000", [21, 21], 1.0)])
    assert verdict(jma_claims.cheaper, table, "LOTS") == [None, None]


def test_cheaper_than_an_attack_that_reaches_nothing_has_no_verdict():
    table = rows(JMA=[("(0.1, 200)", [20, 20], 1.0)], LOTS=[("2000", [None, None], 1.0)])
    assert verdict(jma_claims.cheaper, table, "LOTS") == [None, None]


@pytest.mark.parametrize(("expected", "holds"), [(True, False), (False, True)])
def test_distortion_is_compared_on_common_successes(expected, holds):
    table = rows(JMA=[("(0.1, 200)", [6, 7, 8, 9], 2.0)], LOTS=[("2000", [5, 5, 5, None], 1.0)])
    assert verdict(jma_claims.less_distortion, table, "LOTS", expected=expected) == [holds]


def test_success_rates():
    ours = pd.DataFrame({"method": ["JMA", "JMA", "C&W"], "parameters": ["a", "b", "c"], "asr": [0.5, 0.9, 0.8]})
    printed = pd.DataFrame({"method": ["JMA", "JMA"], "asr": ["0.91", "1.00"], "note": ["", "DOUBTFUL: a slip"]})
    assert verdict(jma_claims.reaches, ours, printed) == [True]
    assert verdict(jma_claims.most_successful, ours) == [True]
    assert verdict(jma_claims.clearly_ahead, ours, "C&W", 0.05) == [True]
    assert verdict(jma_claims.clearly_ahead, ours, "C&W", 0.2) == [False]


@pytest.mark.parametrize(
    ("asr", "basr", "holds"), [(0.0, 0.75, [True, True]), (0.3, 0.75, [False, True]), (0.0, 0.9, [True, False])]
)
def test_helpless(asr, basr, holds):
    ours = semantic_rows(asr, 1.0).assign(basr=[basr, 1.0], do_nothing_basr=0.75)
    assert verdict(jma_claims.helpless, ours, "SemA-ML") == holds


def semantic_rows(printed, wider):
    """SemA-ML's printed row and a row of ours with a larger ε, by their success rates."""
    return pd.DataFrame({"method": "SemA-ML", "parameters": ["300", "300, ε = 0.05"], "asr": [printed, wider]})


@pytest.mark.parametrize(("printed", "wider", "holds"), [(0, 1, True), (0, 0.25, None), (0.25, 0.25, False)])
def test_a_wider_bound_against_the_printed_row(printed, wider, holds):
    claims = Claims()
    jma_claims.bound_decides(claims, semantic_rows(printed, wider), "digits")
    (claim,) = claims
    assert (claim.holds, claim.place) == (holds, "not in the paper: digits")
    assert "ε = 0.05" in claim.text


def test_only_the_printed_row_begins_to_succeed():
    assert verdict(jma_claims.begins, semantic_rows(0, 1), "SemA-ML") == [False]
    assert verdict(jma_claims.begins, semantic_rows(0.1, 1), "SemA-ML") == [True]


def test_consistent_targets_are_reached_more_often():
    random = pd.DataFrame({"reached": [False, False, False, True]})
    for reached, holds in (([True] * 3 + [False], True), ([True, False, False, False], False)):
        claims = Claims()
        jma_claims.consistency_helps(claims, pd.DataFrame({"reached": reached}), random, "They help", "Table XIV")
        assert [claim.holds for claim in claims] == [holds]


def test_ahead_of_the_printed_row_only():
    ours = pd.concat([pd.DataFrame({"method": ["JMA"], "parameters": ["a"], "asr": [1.0]}), semantic_rows(0, 1)])
    assert verdict(jma_claims.clearly_ahead, ours, "SemA-ML", 0.5) == [True]


@pytest.mark.parametrize(("added", "holds"), [(False, None), (True, True)])
def test_distortion_against_rows_that_we_added(added, holds):
    table = rows(
        JMA=[("(0.1, 200)", [6, 7, 8], 1.0)], SemA_ML=[("300", [None] * 3, 1.0), ("300, ε = 0.05", [2, 2, 2], 9.0)]
    )
    assert verdict(jma_claims.less_distortion, table, "SemA-ML", added=added) == [holds]


def test_released_and_margin_rows_are_compared_on_their_own():
    ours = pd.DataFrame(
        {
            "method": ["JMA", "JMA", "ML-C&W"],
            "parameters": ["(0.5, 500)", "(0.5, 500), kappa = 0.1", "(1000), as released"],
            "asr": [1.0, 1.0, 1.0],
            "first_success": [100.0, 60.0, 20.0],
            "mean_iterations": [20.0, 10.0, 5.0],
        }
    )
    assert verdict(jma_claims.cheaper_than_released, ours) == [False]
    claims = Claims()
    jma_claims.margin_helps(claims, ours)
    assert [claim.holds for claim in claims] == [True]
