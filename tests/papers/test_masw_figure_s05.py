"""MADW's grids, and their claims."""

import inspect

import pandas as pd
import pytest

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_s05
from flipbook.attacks import madw
from flipbook.storage import places

GRIDS = figure_s05.grids([0.1, 0.5, 0.9], [1.01, 1.015, 1.05], [1.5, 2.0], [5.0, 3.0])


def test_grids_hold_the_published_values():
    known = inspect.signature(madw).parameters
    for values in GRIDS.values():
        assert any(all(known[name].default == value for name, value in hyper.items()) for hyper in values.values())


@pytest.mark.parametrize(("rates", "expected"), [((1.0, 0.2), [True, None]), ((0.2, 1.0), [False, None])])
def test_claims_follow_the_rows(rates, expected):
    lines = []
    for parameter, values in GRIDS.items():
        for value in values:
            rate = rates[0] if value == "0.9" else rates[1] if value == "0.1" else 0.6
            lines += [
                {"dataset": "d", "case": "worst", "k": 10, "image": i, "method": value, "value": value, "lfr": 0.5}
                | {"parameter": parameter, "success": rate > 0.5, "asr": rate > 0.5}
                for i in range(10)
            ]
    readings = pd.DataFrame({"method": ["printed", "Levenberg-Marquardt"], "asr": [False, True]})
    found = list(figure_s05.claims(pd.DataFrame(lines), readings))
    assert [claim.holds for claim in found[:2]] == expected
    assert [claim.holds for claim in found[2:4]] == [None, None]  # all η alike
    assert found[-1].holds is True


def test_printed_form_stays_and_ours_attacks(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)
    (setting,) = paper.settings(["VOC 2012"])
    setup = paper.setup(setting, paper.size(setting, images=2, iterations=8))
    rows = figure_s05.literal(setup, progress=False).set_index("method")
    assert not rows.loc["printed", "asr"].any()
    assert rows.loc["printed", "l2"].max() < 0.05
    assert rows.loc["Levenberg-Marquardt", "lfr"].mean() > 0
