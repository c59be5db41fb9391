"""`./run_all.sh test`: the library's tests, and the notebooks' claims through nbval."""

import os
import subprocess
import sys
import tempfile

from companion import artefacts, paths
from companion.runner import kernel, workflow

CELL_TIMEOUT = 1800  # seconds for one cell
# Only cells tagged `nbval-check-output` are compared: they print verdicts, never raw numbers.
NBVAL = ("--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}")
PLUGINS = ("companion.runner.nbval_kernels", "companion.runner.nbval_verdicts")
NOTEBOOKS = (*(word for plugin in PLUGINS for word in ("-p", plugin)), *NBVAL)
# A notebook's cells, like a file's fixtures, stay in one process; files are taken in the order in which they are named.
SPREAD = ("--dist", "loadfile", "--no-loadscope-reorder")


def run(words: list[str], jobs: int) -> int:
    """Run all tests, or those that `words` (arguments of pytest) select; return 0 only when all of them pass."""
    with tempfile.TemporaryDirectory(prefix="flipbook-test-") as scratch:
        if words:
            return _pytest(
                words, jobs, scratch, any(".ipynb" in word or word.startswith("notebooks") for word in words)
            )
        print("Tests of the library", flush=True)
        library = _pytest(["tests"], jobs, scratch, of_notebooks=False)
        print("Claims of the notebooks", flush=True)
        notebooks = _pytest(longest_first(), jobs, scratch, of_notebooks=True)
    print(f"Tests of the library {_word(library)}; claims of the notebooks {_word(notebooks)}")
    return int(bool(library or notebooks))


def longest_first() -> list[str]:
    """Every notebook, the longest first, so that none is left alone at the end."""
    minutes = {}
    for row in artefacts.read().values():
        minutes[row.notebook] = max(row.minutes, minutes.get(row.notebook, 0))
    found = (path.relative_to(paths.NOTEBOOKS) for path in paths.NOTEBOOKS.rglob("*.ipynb"))
    named = [path.as_posix() for path in found if ".ipynb_checkpoints" not in path.parts]
    return [f"notebooks/{name}" for name in sorted(named, key=lambda name: (-minutes.get(name, 0), name))]


def _pytest(words: list[str], jobs: int, scratch: str, of_notebooks: bool) -> int:
    """Run pytest on `words` with the reader's results out of reach; return its exit status."""
    environment = os.environ | kernel.environment(max(1, workflow.cores() // jobs))
    environment |= {"FLIPBOOK_FIGURES": f"{scratch}/figures", "FLIPBOOK_STORE": f"{scratch}/store"}
    if not of_notebooks:
        environment["MPLBACKEND"] = "Agg"
    options = ["-n", str(jobs), *SPREAD, *(NOTEBOOKS if of_notebooks else ())]
    command = [sys.executable, "-m", "pytest", *options, *words]
    return subprocess.run(command, cwd=paths.ROOT, env=environment, check=False).returncode


def _word(status: int) -> str:
    return "FAILED" if status else "passed"
