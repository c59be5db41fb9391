"""Requests that cannot be met, said in one line with the nearest right word."""

import difflib
from collections.abc import Iterable


class Refusal(ValueError):
    """A request that names something wrong; its text is the one line that the reader sees."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "x"?' for the known word most like `word`, or '' when none is close."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f'; did you mean "{found[0]}"?' if found else ""
