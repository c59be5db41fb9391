"""The names that others build on are where README and the packages' docstrings say."""

import inspect

import pytest

from flipbook import attacks, goals, universal

SEARCH = [
    "jma",
    "ml_cw",
    "cw_l2",
    "lots",
    "ecoc_attack",
    "mla_lp",
    "ml_deepfool",
    "gmla",
    "mla_u",
    "mla_c",
    "rank_i",
    "tkml",
    "masw",
    "madw",
    "kfool",
    "tkalc",
    "tkmia",
    "fgsm",
    "mi_fgsm",
    "pgd",
    "apgd",
    "cw_l0",
    "one_pixel",
    "corner_search",
    "pgd_l0",
    "sparsefool",
    "strattack",
    "sapf",
    "sapf_gs",
    "sapf_vi",
    "ml_cw_descent",
]
GENERATE = ["gama", "lpd"]
UNIVERSAL = [
    "cmlu_alpha",
    "cmlu_beta",
    "oracle",
    "or_s",
    "or_c",
    "sga",
    "nag",
    "kuv",
    "pgd_uv",
    "tkml_uv",
    "tkalc_uv",
    "tkmia_uv",
    "masw_uv",
    "madw_uv",
    "universal_top_k",
    "inner_attack",
    "evaluate",
    "evaluate_top_k",
]


def test_attacks():
    assert set(SEARCH) <= set(attacks.ALL)
    for name in (*attacks.ALL, *GENERATE):
        attack = getattr(attacks, name)
        assert name in attacks.__all__
        assert attack.__name__ == name
        assert list(inspect.signature(attack).parameters)[:3] == ["model", "images", "goal"]
    assert not set(GENERATE) & set(attacks.ALL)


@pytest.mark.parametrize("name", UNIVERSAL)
def test_universal(name):
    assert getattr(universal, name).__name__ == name
    assert name in universal.__all__


@pytest.mark.parametrize("name", ["LabelVector", "HideLabels", "TopKExcludes", "TopKEquals", "ClassTarget"])
def test_goals(name):
    assert issubclass(getattr(goals, name), goals.Goal)
