"""`test` runs the library's tests and the notebooks' claims, both, away from the reader's results."""

import os
import subprocess
from pathlib import Path

import pytest

from companion.runner import testing


@pytest.fixture
def calls(here, monkeypatch):
    """Record the calls of pytest; the first fails."""
    seen = []

    def run(command, **options):
        seen.append((command[3:], options["env"]))
        return subprocess.CompletedProcess(command, returncode=1 if len(seen) == 1 else 0)

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def test_both_run_even_when_the_first_fails(calls, capsys):
    assert testing.run([], jobs=2) == 1
    assert calls[0][0][-1] == "tests"
    assert [word for word in calls[1][0] if word.startswith("notebooks")] == testing.longest_first()
    assert "--nbval-lax" not in calls[0][0]
    assert {"--nbval-lax", "--nbval-current-env"} <= set(calls[1][0])
    assert "Tests of the library FAILED; claims of the notebooks passed" in capsys.readouterr().out


def test_the_longest_notebook_comes_first(here):
    path = here / "notebooks" / "artefacts.csv"
    path.write_text(path.read_text().replace("start.ipynb,,1,", "start.ipynb,,7,"))
    assert testing.longest_first() == ["notebooks/start.ipynb", "notebooks/jma/tables.ipynb"]
    path.write_text(path.read_text().replace("start.ipynb,,7,", "start.ipynb,,0.1,"))
    (here / "notebooks" / "own.ipynb").write_text("{}")
    found = testing.longest_first()
    assert found == ["notebooks/jma/tables.ipynb", "notebooks/start.ipynb", "notebooks/own.ipynb"]


def test_results_go_to_a_folder_that_is_gone_afterwards(calls, here):
    before = dict(os.environ)
    testing.run([], jobs=1)
    for _, environment in calls:
        for name in ("FLIPBOOK_FIGURES", "FLIPBOOK_STORE"):
            assert not Path(environment[name]).is_relative_to(here)
            assert not Path(environment[name]).parent.exists()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("words", "nbval"), [(["tests/solvers", "-k", "kkt"], False), (["notebooks/jma/ecoc.ipynb"], True)]
)
def test_words_select(calls, words, nbval):
    testing.run(words, jobs=2)
    assert len(calls) == 1
    assert calls[0][0][-len(words) :] == words
    assert ("--nbval-lax" in calls[0][0]) == nbval
