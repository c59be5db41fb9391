"""What another rounding may change in printed verdicts, and what it may not."""

import warnings

import pytest
from nbformat import NotebookNode

from companion.report import Claims
from companion.runner.nbval_verdicts import forgiving, reconciled

NAMES = [f"{way}: SAPF (ours) needs less" for way in "abcdefgh"]


def verdicts(*held, names=NAMES, reason="too close"):
    """Printed verdicts, the first as given and the others holding."""
    claims = Claims()
    for name, holds in zip(names, [*held, *[True] * (len(names) - len(held))], strict=True):
        claims.check(name, "Table I, a (left)", "1.0", holds, reason if holds is None else "")
    return claims.verdicts() + "\n"


@pytest.mark.parametrize("changed", [verdicts(None), verdicts(None, None), verdicts(True, True)])
@pytest.mark.parametrize("stored", [verdicts(None), verdicts(True)])
@pytest.mark.filterwarnings("ignore:undecided")
def test_a_verdict_may_become_undecided_or_decided(changed, stored):
    assert reconciled(changed, stored) == stored


def test_the_change_is_a_warning_that_names_the_claim():
    with pytest.warns(UserWarning, match="b: SAPF .ours. needs less .Table I, a .left..: does not hold -> no verdict"):
        reconciled(verdicts(True, None), verdicts(True, False))


def test_without_a_change_there_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reconciled(verdicts(None), verdicts(None)) == verdicts(None)
        assert reconciled(verdicts(None, reason="few images"), verdicts(None)) == verdicts(None)


@pytest.mark.parametrize(
    "new",
    [
        verdicts(False),  # turned round
        verdicts(None, None, None),  # more than a quarter of eight
        verdicts(None, names=NAMES[:7]),  # a claim is gone
        verdicts(None, names=["other", *NAMES[1:]]),
        verdicts(None, names=NAMES[::-1]),
        verdicts(None) + "and more\n",
        "",
    ],
)
def test_anything_else_stays_a_difference(new):
    assert reconciled(new, verdicts()) == new


@pytest.mark.filterwarnings("ignore:undecided")
def test_nbval_compares_what_is_left():
    def equal(_cell, new, stored, _skip):
        return new == stored

    def printed(text, name="stdout"):
        return [NotebookNode(output_type="stream", name=name, text=text)]

    compare = forgiving(equal)
    assert compare(None, printed(verdicts(None)), printed(verdicts()))
    assert not compare(None, printed(verdicts(False)), printed(verdicts()))
    assert not compare(None, printed(verdicts(None), "stderr"), printed(verdicts(), "stderr"))
    assert not compare(None, [], printed(verdicts()))
    picture = [NotebookNode(output_type="display_data", data={"text/plain": "a"})]
    assert compare(None, picture, picture)
    assert not compare(None, picture, printed(verdicts()))
