"""Executed notebooks as readers get them: outputs that last, nothing that differs from run to run."""

import copy
from pathlib import Path

import nbformat

from companion import paths
from companion.runner.inputs import notebook_digest
from companion.target import Target
from flipbook.storage.files import write_whole

INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds
TEXTS = ("text/plain", "text/html", "text/markdown")


def executed_copy(executed: Path):
    """Return an executed notebook without papermill's marks, progress bars and this machine's folders."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata = nbformat.from_dict(_metadata(notebook.metadata))
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if INJECTED in tags:
            cell.id = INJECTED  # papermill draws one by chance
        if cell.cell_type == "code":
            cell.outputs = _lasting(cell.outputs)
    _number(notebook)
    return notebook


def with_outputs(source: Path, clean):
    """Return the notebook `source` with the outputs of `clean`, an executed copy of it, and nothing else changed."""
    notebook = nbformat.read(source, as_version=4)
    done = [cell for cell in clean.cells if INJECTED not in cell.metadata.get("tags", [])]
    for cell, ran in zip(notebook.cells, done, strict=True):
        if cell.cell_type == "code":
            cell.outputs = copy.deepcopy(ran.outputs)
    _number(notebook)
    return notebook


def publish(target: Target, into_source: bool, digest: str) -> list[Path]:
    """Put the executed notebook beside the artefact's figures and, at default parameters, back into notebooks/.

    Parameters
    ----------
    target : Target
        Its executed notebook is in build/.
    into_source : bool
        Whether the notebook ran with its own defaults.
    digest : str
        The notebook's digest when the job started; a notebook edited meanwhile is left alone.

    Returns
    -------
    list of Path
        Files written.
    """
    clean = executed_copy(target.build(".ipynb"))
    contents = {target.figure(".ipynb"): _text(clean)}
    if into_source and notebook_digest(target.row.path) == digest:
        contents[target.row.path] = _text(with_outputs(target.row.path, clean))
    changed = {path: text for path, text in contents.items() if not _holds(path, text)}
    write_whole(changed)
    return list(contents)


def _number(notebook) -> None:
    """Number the code cells 1, 2, 3..., as a run from top to bottom would."""
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number


def _metadata(metadata: dict) -> dict:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {"kernelspec": kernel, "language_info": {"name": "python"}} | {
        name: value
        for name, value in metadata.items()
        if name not in ("kernelspec", "language_info", "papermill", "widgets")
    }


def _lasting(outputs: list) -> list:
    """Return outputs without progress bars (text on stderr, widgets) and without this machine's folders."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in data:
            continue
        if "text" in output:
            output["text"] = _portable(output["text"])
        for kind in TEXTS:
            if kind in data:
                data[kind] = _portable(data[kind])
        output.get("metadata", {}).pop("papermill", None)
        kept.append(output)
    return kept


def _portable(text: str) -> str:
    return text.replace(f"{paths.ROOT}/", "")


def _text(notebook) -> str:
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
