"""A plugin for nbval: on another processor a verdict may become undecided, but must not turn into its opposite.

Rounding differs between processors and long runs amplify it, so that a verdict at the edge of its margin goes to "no
verdict" or comes from there. Such changes are warnings. A verdict that turns round is an error, and so are changes of
more than a quarter of a notebook's verdicts, claims that are missing or new, and any other difference.
"""

import warnings

from nbval import plugin

from companion.report.claims import VERDICTS

MOST = 0.25
UNDECIDED = VERDICTS[None]


def pytest_configure() -> None:
    """Let nbval compare outputs as `forgiving` does."""
    plugin.IPyNbCell.compare_outputs = forgiving(plugin.IPyNbCell.compare_outputs)


def forgiving(compare):
    """Return nbval's comparison, told the stored verdicts wherever new ones do not contradict them."""

    def compared(cell, new, stored, skip_compare=None):
        if len(new) == len(stored):
            new = [_reconciled(one, other) for one, other in zip(new, stored, strict=True)]
        return compare(cell, new, stored, skip_compare)

    return compared


def reconciled(new: str, stored: str) -> str:
    """Return `stored` where `new` has the same claims and contradicts none of the verdicts, else `new`.

    Parameters
    ----------
    new, stored : str
        What `Claims.verdicts` returned.

    Warns
    -----
    UserWarning
        With the claims whose verdicts changed.
    """
    ours, theirs = _read(new), _read(stored)
    if [claim for claim, _ in ours] != [claim for claim, _ in theirs]:
        return new
    changed = [(claim, was, now) for (claim, now), (_, was) in zip(ours, theirs, strict=True) if was != now]
    if any(UNDECIDED not in (was, now) for _, was, now in changed) or len(changed) > max(1, MOST * len(ours)):
        return new
    if changed:
        said = "; ".join(f"{claim}: {was} -> {now}" for claim, was, now in changed)
        warnings.warn(f"undecided here or where the notebook was run, so not compared: {said}", stacklevel=2)
    return stored


def _reconciled(new, stored):
    """The same for one output of a cell; only what was printed can be verdicts."""
    if new.get("name") != "stdout" or stored.get("name") != "stdout":
        return new
    return type(new)(new, text=reconciled(new["text"], stored["text"]))


def _read(text: str) -> list[tuple[str, str]]:
    """Claim with its place, and verdict, of every line; what is no verdict stays whole."""
    return [_parsed(line) for line in text.splitlines()]


def _parsed(line: str) -> tuple[str, str]:
    for word in VERDICTS.values():
        if line.startswith(f"{word} "):
            said = line.removeprefix(word).strip()
            claim = said.rpartition("): ")[0] + ")" if word == UNDECIDED else said  # a reason follows
            return claim, word
    return line, ""
