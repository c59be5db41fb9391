"""Make what was asked for: find what is stale, have Snakemake run it, and say how it went."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from companion import paths
from companion.artefacts import Row
from companion.refusal import Refusal
from companion.runner import cluster, gpu, inputs, lock, parameters, progress, summary, workflow
from companion.runner.status import MADE, NOT_MADE, PENDING, status
from companion.target import Target, shown

KILLED = "Snakemake was killed, and its jobs were ended with it; the same command goes on from here"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = 130  # exit status after Ctrl-C, as shells have it


@dataclass
class Outcome:
    """What became of the targets: lists of targets, and for the failed ones the error by id."""

    made: list[Target] = field(default_factory=list)
    reused: list[Target] = field(default_factory=list)
    pending: list[Target] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    rows: list[Row]
    words: list[str]
    profile: str
    device: str
    jobs: int
    tweaks: dict[str, str]
    force: bool
    snakemake: str


def make(request: Request) -> int:
    """Make what is asked for; return 0 when all of it is there, 1 when something failed, 130 when stopped by hand."""
    started = time.time()
    gpus = _gpus(request)
    targets, outcome = _targets(request)
    for number in SIGNALS:  # `timeout` and `kill` end a run as Ctrl-C does
        signal.signal(number, _interrupt)
    with lock.only_run(paths.BUILD / "lock") as held:
        stale = _sort(targets, request.force, outcome)
        retrained = [target for target in stale if _retrains(target, request)]
        others = [target for target in stale if target not in retrained]
        try:
            _run(retrained, request, gpus, held, outcome, retrain=True)
            _run(others, request, gpus, held, outcome)  # after what the first trained, which is an input of these
        except KeyboardInterrupt:
            print("\nStopped. What is made stays; the same command goes on from here.")
            return STOPPED
    outcome.seconds = time.time() - started
    summary.tell(outcome)
    return 1 if outcome.failed else 0


def _interrupt(*_) -> None:
    """Stop at the first signal; a later one must not end the stop half way."""
    for number in SIGNALS:
        signal.signal(number, _once_more)
    raise KeyboardInterrupt


def _once_more(*_) -> None:
    os.write(2, b"Already stopping: the jobs are being ended, which on a cluster may take a minute.\n")


def _targets(request: Request) -> tuple[list[Target], Outcome]:
    """Return what can be made; pending artefacts go to the outcome, and are refused when nothing else was asked for."""
    targets = [Target(row, request.profile) for row in request.rows]
    outcome = Outcome(pending=[target for target in targets if target.row.pending])
    named = next((target for target in outcome.pending if target.id in request.words), None)
    if named or len(outcome.pending) == len(targets):
        first = named or outcome.pending[0]
        raise Refusal(f"{first.id} cannot be made yet: {first.row.pending}")
    targets = [target for target in targets if not target.row.pending]
    if request.tweaks:
        targets, untouched = parameters.distribute(targets, request.tweaks)
        if untouched:
            names = ", ".join(target.id for target in untouched)
            print(f"Left out, as their notebooks have no such parameter: {names}")
    return targets, outcome


def _sort(targets: list[Target], force: bool, outcome: Outcome) -> list[Target]:
    """Return the targets to run; those that are up to date go to the outcome."""
    stale = []
    for target in targets:
        fresh = status(target).word == MADE and not force
        (outcome.reused if fresh else stale).append(target)
    return stale


def _retrains(target: Target, request: Request) -> bool:
    return request.force and target.id == inputs.VICTIMS and target.id in request.words


def _run(batch: list[Target], request: Request, gpus: int, held: int, outcome: Outcome, retrain: bool = False) -> None:
    reasons = {target.id: _reason(target, request.force) for target in batch}
    ready = []
    for target in batch:
        try:
            inputs.write(target, inputs.current(target))
            ready.append(target)
        except FileNotFoundError as error:
            outcome.failed[target.id] = f"{shown(Path(error.filename))} is missing"
        except Refusal as damaged:
            outcome.failed[target.id] = str(damaged)
    if not ready:
        return
    progress.clear(ready)
    process = workflow.start(
        ready,
        device=request.device,
        jobs=request.jobs,
        gpus=gpus,
        retrain=retrain,
        extra=request.snakemake,
        lock=held,
    )
    try:
        states = progress.follow(process, ready, reasons)
    except BaseException:  # Ctrl-C, or nobody reads our lines any more
        workflow.stop(process)
        raise
    killed = process.returncode < 0
    if killed:
        workflow.clean_up(process)
    for target in ready:
        state = states.get(target.id, {})
        if state.get("state") == "made":
            outcome.made.append(target)
        else:
            outcome.failed[target.id] = KILLED if killed and "error" not in state else _failure(target, state)


def _failure(target: Target, state: dict) -> str:
    if "error" in state:
        return f"{state['error']}  (see {shown(target.build('.ipynb'))})"
    if state:
        return "the job was killed (out of memory?); the same command tries again"
    return f"was not started; Snakemake said: {workflow.last_words()}"


def _reason(target: Target, force: bool) -> str:
    found = status(target)
    return found.reason or ("made again on request" if force and found.word not in (NOT_MADE, PENDING) else "")


def _gpus(request: Request) -> int:
    """Return how many GPU slots there are; a cluster's are not counted here.

    Raises
    ------
    Refusal
        When a GPU is asked for by name and this machine has none.
    """
    if request.device == "cpu":
        return 0
    if cluster.executor(request.snakemake):  # which nodes have GPUs is unknown here: they are asked for by name only
        return request.jobs if request.device == "cuda" else 0
    found = len(gpu.visible())
    if request.device == "cuda" and not found:
        raise Refusal("--device cuda: this machine shows no CUDA GPU; use --device cpu, or auto")
    return found
