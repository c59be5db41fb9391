"""What Snakemake is asked for on a cluster, and what is refused before it starts."""

import importlib.util

import pytest

from companion import artefacts
from companion.refusal import Refusal
from companion.runner import cluster, make, workflow
from companion.target import Target
from tests.runner import fake_checkout


@pytest.fixture
def plugin(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.fixture
def command(here, monkeypatch):
    """Return a function that starts Snakemake in name only and returns its command line."""
    seen = []
    monkeypatch.setattr(workflow, "LOG", here / "build" / "snakemake.log")
    monkeypatch.setattr(workflow.subprocess, "Popen", lambda words, **_: seen.append(words))

    def start(extra, jobs=20):
        target = Target(artefacts.read()["jma/table-01"], "laptop")
        workflow.start([target], device="auto", jobs=jobs, gpus=0, retrain=False, extra=extra, lock=0)
        return seen[-1]

    return start


def test_a_missing_plugin_is_said_in_one_line(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    said = fake_checkout.call(root, "jma", "--jobs", "4", "--snakemake=--executor no-such-cluster")
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert "snakemake-executor-plugin-no-such-cluster, which is not installed" in said.stderr


def test_the_pinned_plugin_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install -r requirements-slurm.txt"):
        cluster.executor("--executor=slurm")
    assert "snakemake-executor-plugin-slurm==" in (fake_checkout.PROJECT / "requirements-slurm.txt").read_text()


@pytest.mark.parametrize("extra", ["", "--verbose", "--executor local", "-e dryrun"])
def test_jobs_here_need_no_plugin(extra):
    assert cluster.executor(extra) == ""


@pytest.mark.parametrize(
    ("extra", "asked", "number"),
    [("", 5, 5), ("--jobs 20", None, 20), ("-j 20", None, 20), ("-j20", None, 20), ("--jobs=20", 3, 3)],
)
def test_slots_come_from_jobs(extra, asked, number):
    assert cluster.jobs(f"--executor slurm {extra}", asked) == number
    assert cluster.without_jobs(f"--executor slurm {extra} --verbose") == ["--executor", "slurm", "--verbose"]


@pytest.mark.parametrize("extra", ["--executor slurm", "--executor slurm --jobs", "--executor slurm -j many"])
def test_slots_are_never_guessed(extra):
    with pytest.raises(Refusal, match="need --jobs N"):
        cluster.jobs(extra, None)


def test_open_quotes_are_named():
    with pytest.raises(Refusal, match="close the quotation marks"):
        cluster.executor("--executor 'slurm")


def test_cores_of_the_login_node_do_not_count(plugin, command, monkeypatch):
    monkeypatch.setattr(workflow, "cores", lambda: 128)
    words = command("--executor slurm --jobs 3", jobs=20)
    assert words[words.index("--jobs") + 1] == "20"
    assert words.count("--jobs") == 1
    assert "--cores" not in words
    assert f"threads={cluster.THREADS}" in words


@pytest.mark.parametrize(("device", "gpus"), [("auto", 0), ("cpu", 0), ("cuda", 20)])
def test_gpus_of_a_cluster_are_asked_for_by_name_only(plugin, device, gpus):
    request = make.Request([], [], "laptop", device, 20, {}, False, "--executor slurm")
    assert make._gpus(request) == gpus
