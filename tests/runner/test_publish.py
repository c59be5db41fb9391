"""Executed notebooks as they are published."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from companion import artefacts
from companion.runner import inputs, publish
from companion.target import Target


@pytest.fixture
def target(here):
    return Target(artefacts.read()["jma/table-01"], "laptop")


def _execute(target):
    """Write what papermill would: an injected cell, marks and times, progress bars, outputs."""
    notebook = copy.deepcopy(nbformat.read(target.row.path, as_version=4))
    notebook.cells.insert(2, new_code_cell("artefact = 'table-01'", metadata={"tags": [publish.INJECTED]}))
    notebook.metadata |= {"papermill": {"duration": 1.5}, "widgets": {}, "language_info": {"version": "3.11.9"}}
    for number, cell in enumerate(notebook.cells[1:], start=7):
        cell.execution_count = number
        cell.metadata["papermill"] = {"start_time": "now"}
        cell.metadata["execution"] = {"iopub.execute_input": "now"}
    html = f"<a href='{target.row.path}'>here</a>"
    notebook.cells[-1].outputs = [
        new_output("stream", name="stderr", text="50%|"),
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "0%"}),
        new_output("execute_result", {"text/html": html, "image/png": "aGk="}, execution_count=10),
    ]
    path = target.build(".ipynb")
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def test_what_differs_from_run_to_run_is_left_out(target):
    _execute(target)
    publish.publish(target, into_source=False, digest="")
    text = target.figure(".ipynb").read_text()
    for mark in ("papermill", "iopub", "50%", "widget", "3.11.9", str(target.row.path)):
        assert mark not in text
    clean = nbformat.read(target.figure(".ipynb"), as_version=4)
    assert clean.cells[-1].outputs[0].data == {
        "text/html": "<a href='notebooks/jma/tables.ipynb'>here</a>",
        "image/png": "aGk=",
    }
    assert [cell.execution_count for cell in clean.cells if cell.cell_type == "code"] == [1, 2, 3, 4]
    assert clean.cells[2].id == publish.INJECTED


def test_outputs_go_back_and_the_source_stays(target):
    _execute(target)
    digest = inputs.notebook_digest(target.row.path)
    publish.publish(target, into_source=True, digest=digest)
    assert inputs.notebook_digest(target.row.path) == digest
    back = nbformat.read(target.row.path, as_version=4)
    assert [cell.get("execution_count") for cell in back.cells] == [None, 1, 2, 3]
    assert back.cells[-1].outputs[0].execution_count == 3
    assert back.cells[1].metadata.tags == ["parameters"]
    before = target.row.path.stat().st_mtime_ns
    publish.publish(target, into_source=True, digest=digest)
    assert target.row.path.stat().st_mtime_ns == before


def test_a_notebook_edited_meanwhile_is_left_alone(target):
    _execute(target)
    before = target.row.path.read_bytes()
    publish.publish(target, into_source=True, digest="of an earlier version")
    assert target.row.path.read_bytes() == before
    assert target.figure(".ipynb").is_file()
