"""Jobs on a cluster: what Snakemake's arguments ask for, refused early where it cannot work."""

import importlib.util
import shlex
import shutil
import subprocess
from pathlib import Path

from companion.refusal import Refusal

HERE = ("local", "dryrun", "touch")  # executors that come with Snakemake and start no job elsewhere
THREADS = 2  # cores of a job on a cluster, as on the laptop that the map's minutes were measured on
RUN_ID = "SLURM run ID: "  # what the Slurm plugin writes into the log; its jobs have that name
PATIENCE = 60  # seconds for scancel


def words(extra: str) -> list[str]:
    """Return Snakemake's arguments, refused where quotes do not match."""
    try:
        return shlex.split(extra)
    except ValueError as error:
        raise Refusal(f"--snakemake={extra!r} cannot be read ({error}): close the quotation marks") from None


def executor(extra: str) -> str:
    """Return the executor that Snakemake's arguments name when it starts jobs elsewhere, else ''.

    Raises
    ------
    Refusal
        When its plugin is not installed.
    """
    name = _value(words(extra), "--executor", "-e")
    if name is None or name in HERE:
        return ""
    package = f"snakemake-executor-plugin-{name}"
    if importlib.util.find_spec(package.replace("-", "_")) is None:
        remedy = "pip install -r requirements-slurm.txt" if name == "slurm" else f"pip install {package}"
        raise Refusal(f"--executor {name} needs the package {package}, which is not installed: {remedy}")
    return name


def jobs(extra: str, asked: int | None) -> int:
    """Return how many jobs may be queued at a time: --jobs of ours, or of Snakemake's arguments.

    Raises
    ------
    Refusal
        When neither says so: the cores of the machine that asks tell nothing of the cluster's.
    """
    text = str(asked) if asked else _value(words(extra), "--jobs", "-j")
    if text is None or not text.isdecimal() or int(text) < 1:
        raise Refusal("jobs on a cluster need --jobs N, how many may be queued at a time")
    return int(text)


def without_jobs(extra: str) -> list[str]:
    """Return Snakemake's arguments without --jobs, which is passed on by itself."""
    kept, given = [], words(extra)
    while given:
        word = given.pop(0)
        if word in ("--jobs", "-j"):
            given[:1] = []
        elif not word.startswith(("--jobs=", "-j")):
            kept.append(word)
    return kept


def cancel(log: Path) -> None:
    """End the jobs of a Snakemake that died before it could do so itself, queued ones too."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    runs = [line.partition(RUN_ID)[2].strip() for line in lines if RUN_ID in line]
    if runs and shutil.which("scancel"):
        subprocess.run(["scancel", "--name", runs[-1]], check=False, timeout=PATIENCE, capture_output=True)


def _value(given: list[str], *names: str) -> str | None:
    for place, word in enumerate(given):
        option, equals, value = word.partition("=")
        if option in names:
            return value if equals else next(iter(given[place + 1 : place + 2]), "")
        if len(word) > 2 and word[:2] in names:  # -j20
            return word[2:]
    return None
