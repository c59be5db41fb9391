"""The kernel that notebooks run in: this very interpreter, quiet, with no habits of the reader's own."""

import json
import os
import sys

from companion import paths
from flipbook.storage.files import write_whole

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# glibc gives the memory of every pass back to the system and fetches it again, page by page: a sixth of the time of an
# attack on a CPU. Kept, it costs some memory; other allocators do not read these.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}


def environment(threads: int) -> dict[str, str]:
    """Return the environment variables for a process that starts kernels, and write the kernel's description.

    A `python3` kernel that the reader registered for another interpreter would be found first; $JUPYTER_PATH goes
    before it. Start-up files and the history database of IPython (which parallel kernels fight over) are left out.
    """
    description = paths.BUILD / "jupyter" / "kernels" / "python3" / "kernel.json"
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--HistoryManager.enabled=False"]
    text = json.dumps({"argv": command, "display_name": "Python 3 (ipykernel)", "language": "python"}, indent=1)
    if not description.is_file() or description.read_text(encoding="utf-8") != text:
        write_whole({description: text})
    before = os.environ.get("JUPYTER_PATH")
    return {
        "JUPYTER_PATH": str(paths.BUILD / "jupyter") + (os.pathsep + before if before else ""),
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(paths.BUILD / "ipython"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **dict.fromkeys(THREADS, str(threads)),
        **MEMORY,
    }
