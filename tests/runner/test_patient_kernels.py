"""A kernel that does not answer is started again, but not for ever."""

import pytest

from flipbook.runner.patient_kernels import patient


def starting(fails, error=RuntimeError):
    """A start that fails so many times, and the list of its calls."""
    calls = []

    def start(*arguments, **options):
        calls.append((arguments, options))
        if len(calls) <= fails:
            raise error("Kernel didn't respond in 60 seconds")
        return "kernel"

    return start, calls


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_a_silent_kernel_is_started_again(fails):
    start, calls = starting(fails)
    assert patient(start)(60, cwd="here") == "kernel"
    assert calls == [((60,), {"cwd": "here"})] * (fails + 1)


def test_the_third_failure_counts():
    start, calls = starting(3)
    with pytest.raises(RuntimeError, match="didn't respond"):
        patient(start)()
    assert len(calls) == 3


def test_other_errors_are_not_hidden():
    start, calls = starting(1, FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        patient(start)()
    assert len(calls) == 1
