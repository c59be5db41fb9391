"""Snakemake, called from outside: it keeps the pool of jobs, here or on a cluster."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from companion import paths
from companion.runner import cluster
from companion.runner.parent import end_with_parent
from companion.target import Target

LOG = paths.BUILD / "snakemake.log"
JOB = "companion.runner.job"  # in the command line of a job
LOOK = 0.2  # seconds between looks for jobs that it still started
PATIENCE = 90  # seconds for Snakemake to cancel what runs on a cluster


def start(targets: list[Target], *, device: str, jobs: int, gpus: int, retrain: bool, extra: str, lock: int):
    """Start Snakemake on these targets and return its process; what it says goes to build/snakemake.log.

    Parameters
    ----------
    targets : list of Target
        Stale ones; each is made whatever Snakemake thinks of it.
    device : str
        What the notebooks' parameter `device` gets.
    jobs : int
        Jobs at a time; each gets its share of the cores.
    gpus : int
        GPU slots; 0 when jobs need none.
    retrain : bool
        Passed on to notebooks that train.
    extra : str
        More arguments for Snakemake, as typed: "--executor slurm".
    lock : int
        Descriptor of the checkout's lock, which stays held while Snakemake lives.
    """
    remote = cluster.executor(extra)
    threads = cluster.THREADS if remote else max(1, cores() // jobs)
    slots = ("--jobs", str(jobs)) if remote else ("--cores", str(jobs * threads))
    more = cluster.without_jobs(extra) if remote else cluster.words(extra)
    made = [str(target.build(".made.json").relative_to(paths.ROOT)) for target in targets]
    settings = [f"device={device}", f"threads={threads}", f"retrain={int(retrain)}", f"gpu={int(gpus > 0)}"]
    command = [
        *(
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(paths.ROOT / "Snakefile"),
            "--directory",
            str(paths.ROOT),
        ),
        *(
            *slots,
            "--resources",
            f"gpu={gpus}",
            "--scheduler",
            "greedy",
            "--keep-going",
            "--nolock",
        ),
        *("--rerun-incomplete", "--rerun-triggers", "mtime", "--force", "--config", *settings),
        *more,
        *("--", *made),
    ]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            command,
            cwd=paths.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=partial(end_with_parent, signal.SIGINT if remote else signal.SIGKILL),
            process_group=0,  # Ctrl-C reaches it through `stop` alone, once: a second one would end its stop half way
        )


def stop(process: subprocess.Popen) -> None:
    """End Snakemake and its jobs, here and on a cluster; what is made stays made.

    Snakemake is interrupted, upon which it cancels a cluster's jobs, and is left the time for that; jobs on this
    machine, for which it would wait, are ended. Other programs that it started, such as scancel, finish.
    """
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        _end(_jobs(process.pid))
        time.sleep(LOOK)
    process.kill()
    process.wait()
    clean_up(process)


def clean_up(process: subprocess.Popen) -> None:
    """End what a Snakemake that is no more left behind: its process group, with all that these started."""
    _end(_jobs(process.pid))
    if process.returncode and process.returncode < 0:
        cluster.cancel(LOG)


def _jobs(group: int) -> list[psutil.Process]:
    """Return the jobs in a process group with their kernels, which have groups of their own."""
    found = []
    for member in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(member.pid) == group and JOB in member.cmdline():
                found += [member, *member.children(recursive=True)]
    return found


def _end(family: list[psutil.Process]) -> None:
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=5)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=5)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def last_words(log: Path = LOG) -> str:
    """Return the last line that Snakemake wrote, for when it failed before any job began."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
