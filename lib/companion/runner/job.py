"""One job: run one artefact's notebook and see that it left its artefact behind.

Snakemake starts it, here or on a cluster's node:
`python -m companion.runner.job build/laptop/jma/table-06.inputs.json`.
"""

import argparse
import errno
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from companion import artefacts, paths, published
from companion.runner import gpu, inputs, kernel, lock, parameters, publish, status
from companion.runner.parent import end_with_parent
from companion.target import Target, shown
from flipbook.storage.files import write_whole

START_TIMEOUT = 180  # seconds for a kernel to answer, on a busy machine
FULL = (errno.ENOSPC, errno.EDQUOT)
SICK_KERNEL = ("Address already in use", "Kernel died", "Kernel didn't respond", "DeadKernelError")


def main(arguments: list[str] | None = None) -> int:
    """Make the artefact whose inputs file is given; 0 when it is made, 1 with one line on stderr when it is not."""
    parser = argparse.ArgumentParser(prog="companion.runner.job", description=main.__doc__)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--retrain", action="store_true")
    asked = parser.parse_args(arguments)
    end_with_parent(signal.SIGTERM)
    made_from = json.loads(asked.inputs.read_text(encoding="utf-8"))
    target = inputs.target_of(made_from, artefacts.read()[made_from["id"]])
    with lock.one_at_a_time(target.build(".lock")):
        return _make(target, made_from, asked)


def _make(target: Target, made_from: dict, asked: argparse.Namespace) -> int:
    started = time.time()
    _say(target, state="running", started=started, process=os.getpid())
    try:
        _execute(target, asked)
        claims = _claims(target, started)
        digest = made_from["files"][shown(target.row.path)]
        written = publish.publish(target, _goes_back(target, asked), digest)
        digests = published.write(target.figure(""), status.files(target))
    except Exception as error:  # whatever a notebook raises is this job's news, in one line
        line = one_line(error)
        if isinstance(error, OSError) and error.errno in FULL and not error.filename:
            line += f" (while {shown(target.build('.ipynb'))} or what it saves was written)"
        print(f"{target.id}: {line}", file=sys.stderr)
        with suppress(OSError):  # a full disk may not even take this
            _say(target, state="failed", seconds=time.time() - started, error=line)
        return 1
    if target.id == inputs.VICTIMS:
        made_from["files"] |= inputs.weights()  # its own work does not make it stale
    record = {
        "id": target.id,
        "seconds": round(time.time() - started, 1),
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "claims": claims,
        "bytes": {shown(path): path.stat().st_size for path in written},
        "published": digests,
        "inputs": made_from,
    }
    write_whole({target.build(".made.json"): json.dumps(record, indent=1)})
    _say(target, state="made", seconds=record["seconds"])
    return 0


def _execute(target: Target, asked: argparse.Namespace) -> None:
    """Run the notebook with papermill; once more when it was the kernel that failed and not the notebook."""
    from papermill import execute_notebook

    device = gpu.resolved(asked.device) if target.row.gpu else "cpu"
    values = parameters.chosen(target, device, asked.retrain)
    os.environ |= kernel.environment(asked.threads) | ({"FLIPBOOK_VARIANT": target.variant} if target.tweaks else {})
    os.environ[paths.JOB] = target.id  # its notebook, and no other, may write to what is published
    slot = gpu.claim(paths.BUILD) if device != "cpu" else None
    for attempt in (1, 2):
        try:
            with target.build(".stderr").open("w", encoding="utf-8", buffering=1) as progress:
                execute_notebook(
                    _literal(target.row.path),
                    _literal(target.build(".ipynb")),
                    parameters=values,
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    stderr_file=progress,
                    start_timeout=START_TIMEOUT,
                    cwd=paths.ROOT,
                )
            break
        except Exception as error:
            if attempt == 2 or not is_kernel_failure(error):
                raise
            print(f"{target.id}: {one_line(error)}; trying once more", file=sys.stderr)
    if slot:
        slot.close()


def _literal(path: Path) -> str:
    """Return a path as papermill takes it, which formats it with the parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def is_kernel_failure(error: BaseException | None) -> bool:
    """Whether the kernel could not start or died, which another try can mend; a notebook's own error is not one."""
    if error is None or type(error).__name__ == "PapermillExecutionError":
        return False
    said = f"{type(error).__name__}: {error}"
    return any(sign in said for sign in SICK_KERNEL) or is_kernel_failure(error.__cause__ or error.__context__)


def one_line(error: BaseException) -> str:
    """Return an error as one line; of a failing cell the name and message of what it raised."""
    if type(error).__name__ == "PapermillExecutionError":
        text = f"{error.ename}: {error.evalue}"
    elif isinstance(error, ValueError | OSError) and str(error):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]


def _claims(target: Target, started: float) -> list[dict]:
    """Return the claims on the card that the notebook wrote since `started`."""
    path = target.figure(".json")
    fresh = path.is_file() and path.stat().st_mtime >= started - 1  # file systems round times
    if not fresh and target.needs_card:
        raise FileNotFoundError(
            f"{shown(target.row.path)} ended without an error but did not write {shown(path)}; "
            "its last cells must hand the artefact to companion.report.save"
        )
    return (status.card(target) or {}).get("claims", []) if fresh else []


def _goes_back(target: Target, asked: argparse.Namespace) -> bool:
    return not asked.retrain and parameters.is_default(target)


def _say(target: Target, **state) -> None:
    """Leave word of the job's state for the runner, which may be on another machine."""
    write_whole({target.build(".state.json"): json.dumps(state)})


if __name__ == "__main__":
    sys.exit(main())
