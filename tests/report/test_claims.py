import json

import numpy as np
import pytest
import torch

from companion.report import Claims


@pytest.fixture
def claims():
    found = Claims()
    found.check("JMA reaches <every> target", "Table VI", "1.00 against 0.66", np.bool_(True))
    found.check("larger ε costs MSE", "VII-C", "1.2e-5 against 2.0e-5", torch.tensor(False))
    found.check("37 times fewer iterations", "Table III", "", None, reason="needs the paper's time limit")
    return found


def test_verdicts_hold_no_figures(claims):
    assert claims.verdicts().splitlines() == [
        "holds          JMA reaches <every> target (Table VI)",
        "does not hold  larger ε costs MSE (VII-C)",
        "no verdict     37 times fewer iterations (Table III): needs the paper's time limit",
    ]


def test_the_page_shows_figures_and_escapes(claims):
    html = claims._repr_html_()
    assert html.count("<tr>") == 4
    assert "JMA reaches &lt;every&gt; target" in html
    assert "1.00 against 0.66" in html
    assert "✗ does not hold" in html
    assert Claims()._repr_html_() == ""


def test_records_are_json(claims):
    records = json.loads(json.dumps(claims.as_records()))
    assert [record["holds"] for record in records] == [True, False, None]
    assert set(records[0]) == {"text", "place", "ours", "holds", "reason"}


def test_a_verdict_needs_a_reason_to_be_missing_and_a_claim_is_made_once(claims):
    with pytest.raises(ValueError, match="no verdict needs a reason"):
        claims.check("something", "Table I", "", None)
    with pytest.raises(ValueError, match=r"claim 'larger ε costs MSE' \(VII-C\) is there already"):
        claims.check("larger ε costs MSE", "VII-C", "", True)
    assert len(claims) == 3
