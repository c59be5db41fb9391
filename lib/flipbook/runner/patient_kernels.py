"""A plugin for nbval: a kernel that starts but never answers is started again.

Seen once in some four hundred starts, with two kernels starting at the same moment. All cells of the notebook would
count as errors.
"""

from nbval import kernel

ATTEMPTS = 3


def pytest_configure() -> None:
    """Let nbval start its kernels through `patient`."""
    kernel.start_new_kernel = patient(kernel.start_new_kernel)


def patient(start):
    """Return `start`, tried up to three times while it raises the RuntimeError of a kernel that does not answer."""

    def started(*arguments, **options):
        for _ in range(ATTEMPTS - 1):
            try:
                return start(*arguments, **options)
            except RuntimeError:
                continue
        return start(*arguments, **options)

    return started
