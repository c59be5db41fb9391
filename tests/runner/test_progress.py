"""The bar that a reader at a terminal sees while jobs run."""

import io
import sys
from types import SimpleNamespace

from companion import artefacts
from companion.runner import progress
from companion.target import Target


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_a_file_does_not(here, monkeypatch):
    target = Target(artefacts.read()["jma/table-01"], "laptop")
    said = {}
    for kind in (Terminal, io.StringIO):
        monkeypatch.setattr(sys, "stdout", stream := kind())
        assert progress.follow(SimpleNamespace(poll=lambda: 0), [target], {}) == {}
        said[kind] = stream.getvalue()
    assert "0/1" in said[Terminal]
    assert said[io.StringIO] == ""
