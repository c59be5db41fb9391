"""How long steps are: the setting's rate and parts of it, as shares of the ball."""

import pytest

from companion.papers.masw import experiments as paper
from companion.papers.masw import tables
from flipbook.storage import places


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)


def test_the_first_step_is_in_proportion_to_the_rate():
    (setting,) = paper.settings(["VOC 2012"])
    setup = paper.setup(setting, paper.size(setting, images=2, iterations=1))
    rows = tables.step_rows([setup], ("worst", 10), progress=False)
    lines = tables.step_summary(rows).set_index("method")
    assert list(lines.index) == list(tables.STEPS)
    whole, half = lines.loc["MASW", "step / τ"], lines.loc["MASW, step / 2", "step / τ"]
    assert half == pytest.approx(whole / 2, rel=1e-4)
    assert lines.loc["MASW, step / 4", "step / τ"] == pytest.approx(whole / 4, rel=1e-4)
    assert lines.loc["MASW, w = 1", "step / τ"] == pytest.approx(whole, rel=1e-4)  # all weights are 1 at first
