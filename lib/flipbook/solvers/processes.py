"""Calls of one function on several processes, for solvers that keep the interpreter's lock while they work.

Workers are plain subprocesses that read calls from a pipe. Unlike those of `multiprocessing` they never import the
caller's script, which may have no `if __name__ == "__main__"`, and never fork a process that holds a GPU; they end when
their pipe is closed, whatever becomes of the caller.
"""

import atexit
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_START = "import sys; sys.path.insert(0, sys.argv[1]); from flipbook.solvers.processes import serve; serve()"
_idle: queue.SimpleQueue = queue.SimpleQueue()  # workers waiting for a call, kept for the next time


class Worker:
    """One process that answers calls, one at a time, on one thread."""

    def __init__(self):
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(Path(__file__).parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | threads,
            start_new_session=True,  # Ctrl-C is the caller's to handle
        )

    def call(self, function: Callable, args: tuple):
        """Return function(*args); raises EOFError or OSError where the process has ended."""
        pickle.dump((function, args), self._process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()


def call_each(function: Callable, calls: Iterable[tuple], workers: int) -> list:
    """Return [function(*args) for args in calls], on up to so many processes.

    Parameters
    ----------
    function : callable
        Of a module; it must not raise. Should a process be ended from outside, its call is made here.
    calls : iterable of tuple
        Arguments that can be pickled.
    workers : int
        With one, or one call, all is done here.
    """
    calls = list(calls)
    workers = min(workers, len(calls))
    if workers <= 1 or not sys.executable:
        return [function(*args) for args in calls]
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(lambda args: _call(function, args), calls))


def _call(function: Callable, args: tuple):
    worker = None
    try:
        try:
            worker = _idle.get_nowait()
        except queue.Empty:
            worker = Worker()
        answer = worker.call(function, args)
        _idle.put(worker)
    except (OSError, EOFError, pickle.UnpicklingError):
        if worker is not None:
            worker.end()
        return function(*args)
    return answer


@atexit.register
def _end_all() -> None:
    with suppress(queue.Empty):
        while True:
            _idle.get_nowait().end()


def serve() -> None:
    """Answer calls from standard input until it is closed; what a function prints goes to standard error."""
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            function, args = pickle.load(calls)
            pickle.dump(function(*args), answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
