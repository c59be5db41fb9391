"""A plugin for nbval: kernels that do not answer are started again, and long cells lose none of their outputs."""

import time
from collections import deque
from queue import Empty

from nbval import kernel, plugin

ATTEMPTS = 3
LOOK = 1.0  # seconds between looks at what a running cell prints


def pytest_configure() -> None:
    """Let nbval start its kernels through `patient`, and listen to them as `ListenedKernel` does."""
    kernel.start_new_kernel = patient(kernel.start_new_kernel)
    plugin.RunningKernel = ListenedKernel


def patient(start):
    """Return `start`, tried up to three times while it raises the RuntimeError of a kernel that does not answer.

    Seen once in some four hundred starts, with two kernels starting at the same moment. All cells of the notebook
    would count as errors.
    """

    def started(*arguments, **options):
        for _ in range(ATTEMPTS - 1):
            try:
                return start(*arguments, **options)
            except RuntimeError:
                continue
        return start(*arguments, **options)

    return started


class ListenedKernel(kernel.RunningKernel):
    """A kernel whose messages are taken while a cell runs, and handed out when nbval asks for them.

    nbval looks at them only when the cell is done. ZeroMQ holds a thousand at each end and drops the rest: a cell
    with many progress bars would lose its last outputs, and with them the word that it is done.
    """

    def __init__(self, *arguments, **options) -> None:
        self._heard = deque()
        super().__init__(*arguments, **options)

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        """Wait for the reply to a cell, and listen meanwhile; raise queue.Empty after `timeout` seconds."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            try:
                return super().await_reply(msg_id, timeout=max(0.0, min(LOOK, end - time.monotonic())))
            except Empty:
                self._listen()
                if time.monotonic() >= end:
                    raise

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """Return the oldest message of `stream` not handed out yet; raise queue.Empty after `timeout` seconds."""
        if stream == "iopub" and self._heard:
            return self._heard.popleft()
        return super().get_message(stream, timeout=timeout)

    def _listen(self) -> None:
        while True:
            try:
                self._heard.append(self.kc.get_iopub_msg(timeout=0))
            except Empty:
                return
