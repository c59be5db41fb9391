"""A kernel that does not answer is started again, but not for ever; of what a cell prints nothing is lost."""

from queue import Empty

import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME

from companion.runner.nbval_kernels import ListenedKernel, patient


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


# More than ZeroMQ and the system hold between two processes.
TALKATIVE = """
import time
from IPython.display import display
for i in range(6000):
    display({"text/plain": f"{i:<5000}"}, raw=True)
    time.sleep(0.0005)
"""


@pytest.fixture(scope="module")
def listened():
    kernel = ListenedKernel(CURRENT_ENV_KERNEL_NAME)
    yield kernel
    kernel.stop()


def test_no_message_of_a_talkative_cell_is_lost(listened):
    cell = listened.execute_cell_input(TALKATIVE, allow_stdin=False)
    listened.await_reply(cell, timeout=120)
    shown = []
    while True:
        message = listened.get_message("iopub", timeout=5)
        if message["parent_header"].get("msg_id") != cell:
            continue
        if message["msg_type"] == "display_data":
            shown.append(int(message["content"]["data"]["text/plain"]))
        if message["content"].get("execution_state") == "idle":
            break
    assert shown == list(range(6000))


def test_a_cell_that_takes_too_long_is_given_up(listened):
    cell = listened.execute_cell_input("import time; time.sleep(4)", allow_stdin=False)
    with pytest.raises(Empty):
        listened.await_reply(cell, timeout=1.5)
    listened.await_reply(cell, timeout=60)
