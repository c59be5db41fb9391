"""One long search tells what less patience gives."""

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_11, universals
from flipbook import universal

PATIENCES = [1, 2, 5, 10, 20, 30, 40, 50, 60]


@pytest.fixture
def setup(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_STORE", str(tmp_path))
    (setting,) = paper.settings(["VOC 2012"])
    return universals.setup(setting, universals.size(training=6, test=10, iterations=5))


def test_a_short_search_ends_where_the_long_one_says(setup, monkeypatch):
    table = figure_11.patience(setup, PATIENCES, seeds=(0,), passes=3).set_index("E")
    assert table.index.tolist() == PATIENCES
    assert (table["batches"].diff().dropna() >= 0).all()
    found = {}
    for E in (1, 60):
        found[E] = universal.universal_top_k(
            setup.single.model, setup.training.images, setup.training.targets.bool(), 3,
            universals.inner_attack("masw", 5, learning_rate=0.01), radius=setup.radius, hide=True, batch_size=2,
            max_passes=3, eval_every=1, patience=E, seed=0, progress=False,
        )  # fmt: skip
        asr = universals.measured(setup, found[E])["asr"].mean()
        assert table.loc[E, "asr"] == pytest.approx(100 * asr)
    assert torch.isfinite(torch.tensor(table.to_numpy(dtype=float))).all()
    monkeypatch.setattr(figure_11.universal, "universal_top_k", _never)
    with pytest.raises(AssertionError, match="searched again"):
        figure_11.patience(setup, PATIENCES, seeds=(0, 1), passes=3)  # another seed


def test_what_was_found_is_kept(setup, monkeypatch):
    first = figure_11.patience(setup, PATIENCES, seeds=(0,), passes=1)
    calls = []
    monkeypatch.setattr(figure_11, "_kept", lambda *_: calls.append(1))
    again = figure_11.patience(setup, PATIENCES, seeds=(0,), passes=1)
    assert not calls
    assert again.to_dict() == first.to_dict()


def _never(*_, **__):
    raise AssertionError("searched again")
