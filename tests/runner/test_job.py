"""One job: when it tries again, what it says, and that a notebook which saves nothing has failed."""

import argparse
import errno
import os
import time

import papermill
import pytest
import torch
from papermill.exceptions import PapermillExecutionError

from companion import artefacts
from companion.runner import gpu, inputs, job
from companion.target import Target

ASKED = argparse.Namespace(device="cpu", threads=1, retrain=False)


@pytest.fixture
def target(here, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    made = Target(artefacts.read()["jma/table-01"], "laptop")
    made.build("").parent.mkdir(parents=True)
    return made


def _failing(first, monkeypatch):
    """Make papermill raise `first` once and then succeed; return the list of its calls."""
    calls = []

    def execute(*_, **options):
        calls.append(options)
        if len(calls) == 1:
            raise first

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return calls


def test_a_port_clash_is_tried_once_more(target, monkeypatch):
    clash = RuntimeError("kernel failed")
    clash.__cause__ = OSError("Address already in use (addr='tcp://127.0.0.1:5000')")
    calls = _failing(clash, monkeypatch)
    job._execute(target, ASKED)
    assert len(calls) == 2
    assert calls[0]["parameters"] == {"profile": "laptop", "device": "cpu", "artefact": "table-01"}


def test_a_notebooks_own_error_is_not_tried_again(target, monkeypatch):
    error = PapermillExecutionError(1, 1, "", "ValueError", "Kernel died is what the cell said\nmore", [])
    calls = _failing(error, monkeypatch)
    with pytest.raises(PapermillExecutionError):
        job._execute(target, ASKED)
    assert len(calls) == 1
    assert job.one_line(error) == "ValueError: Kernel died is what the cell said"


def test_a_kernel_that_dies_twice_has_failed(target, monkeypatch):
    def execute(*_, **__):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    with pytest.raises(RuntimeError, match="Kernel died"):
        job._execute(target, ASKED)


def test_only_a_card_of_this_run_counts(target):
    card = target.figure(".json")
    card.parent.mkdir(parents=True)
    card.write_text('{"claims": [{"holds": true}]}')
    assert job._claims(target, time.time()) == [{"holds": True}]
    os.utime(card, (1, 1))
    with pytest.raises(FileNotFoundError, match=r"did not write figures/laptop/jma/table-01.json"):
        job._claims(target, time.time())


def test_a_guide_needs_no_card(here):
    assert job._claims(Target(artefacts.read()["start"], "laptop"), time.time()) == []


def test_auto_is_a_gpu_only_where_pytorch_can_use_one(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [gpu.resolved(device) for device in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cuda"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for usable, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda usable=usable: usable)
        assert gpu.resolved("auto") == device


def test_gpus_are_handed_out_one_each(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {"CUDA_VISIBLE_DEVICES": "3,5"})
    first = gpu.claim(tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "3,5"
    second = gpu.claim(tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    first.close()
    os.environ["CUDA_VISIBLE_DEVICES"] = "3,5"
    third = gpu.claim(tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    second.close()
    third.close()


@pytest.mark.parametrize(("value", "names"), [("", []), ("-1", []), ("0", ["0"]), ("0,2", ["0", "2"])])
def test_visible_gpus(monkeypatch, value, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert gpu.visible() == names


def test_a_full_disk_is_named_with_what_was_written(target, monkeypatch, capsys):
    def execute(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    made_from = inputs.current(target)
    assert job._make(target, made_from, ASKED) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert "build/laptop/jma/table-01.ipynb" in line
