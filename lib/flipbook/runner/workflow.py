"""Snakemake, called from outside: it keeps the pool of jobs, here or on a cluster."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import psutil

from flipbook import paths
from flipbook.runner.target import Target

LOG = paths.BUILD / "snakemake.log"


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
    threads = max(1, cores() // jobs)
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
            "--cores",
            str(jobs * threads),
            "--resources",
            f"gpu={gpus}",
            "--scheduler",
            "greedy",
            "--keep-going",
            "--nolock",
        ),
        *("--rerun-incomplete", "--rerun-triggers", "mtime", "--force", "--config", *settings),
        *shlex.split(extra),
        *("--", *made),
    ]
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            command, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=(lock,)
        )


def stop(process: subprocess.Popen) -> None:
    """End Snakemake and everything it started; what is made stays made."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    for member in family:
        try:
            member.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(family, timeout=5)
    for member in alive:
        member.kill()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def last_words(log: Path = LOG) -> str:
    """Return the last line that Snakemake wrote, for when it failed before any job began."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
