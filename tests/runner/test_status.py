"""What makes an artefact stale, what does not, and the reason that is given."""

import json
import os
import shutil

import pytest

from companion import artefacts, published
from companion.runner import inputs, status
from companion.target import Target


def _status(name):
    return status.status(Target(artefacts.read()[name], "laptop"))


def _edit_notebook(root, change):
    path = root / "notebooks" / "jma" / "tables.ipynb"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _edit_source(root):
    _edit_notebook(root, lambda content: content["cells"][2]["source"].append("# more"))


def _edit_map(root):
    path = root / "notebooks" / "artefacts.csv"
    path.write_text(path.read_text().replace("artefact=table-01", "artefact=table-01; images=5"))


def _append(name, text="# more"):
    def edit(root):
        path = root / name
        path.write_bytes((path.read_bytes() if path.exists() else b"") + f"\n{text}\n".encode())

    return edit


def _remove(name):
    return lambda root: (root / name).unlink()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_edit_source, "notebooks/jma/tables.ipynb changed"),
        (_edit_map, "parameters changed"),
        (_append("lib/flipbook/attacks/jma.py", "x = 2"), "lib/flipbook/attacks/jma.py changed"),
        (_append("lib/flipbook/goals.py", "x = 2"), "lib/flipbook/goals.py changed"),  # which jma imports
        (_append("lib/flipbook/attacks/new.json"), "lib/flipbook/attacks/new.json is new"),
        (_remove("lib/flipbook/attacks/jma.py"), "lib/flipbook/attacks/jma.py is gone"),
        (_append("data/victims/net.safetensors"), "data/victims/net.safetensors changed"),
        (_append("data/reported/jma/table-01.csv"), "data/reported/jma/table-01.csv changed"),
        (_append("figures/laptop/jma/table-01.csv"), "figures/laptop/jma/table-01.csv changed since it was made"),
        (_append("figures/laptop/jma/table-01.json"), "figures/laptop/jma/table-01.json changed since it was made"),
        (_append("figures/laptop/jma/table-01.ipynb"), "figures/laptop/jma/table-01.ipynb changed since it was made"),
        (_append("figures/laptop/jma/table-01.svg"), "figures/laptop/jma/table-01.svg was not made by a run"),
        (_remove("figures/laptop/jma/table-01.csv"), "figures/laptop/jma/table-01.csv is missing"),
        (_remove("figures/laptop/jma/table-01.json"), "figures/laptop/jma/table-01.json is missing"),
        (_remove("figures/laptop/jma/table-01.ipynb"), "figures/laptop/jma/table-01.ipynb is missing"),
    ],
)
def test_stale_and_why(as_if_made, edit, reason):
    edit(as_if_made)
    found = _status("jma/table-01")
    assert found.word == "stale"
    assert found.reason.startswith(reason)


def _forget_outputs(root):
    def clear(content):
        for cell in content["cells"]:
            cell["metadata"]["extra"] = 1
            cell |= {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}

    _edit_notebook(root, clear)


def _touch_everything(root):
    for path in root.rglob("*"):
        os.utime(path)


@pytest.mark.parametrize(
    "edit",
    [
        _forget_outputs,
        _touch_everything,
        _append("lib/companion/runner/make.py", "x = 2"),
        _append("lib/flipbook/attacks/jma.py"),  # a comment
        _append("lib/flipbook/graphs.py", "x = 2"),  # which the notebook does not import
        _append("lib/flipbook/.hidden.swp"),
        _append("README.md"),
    ],
)
def test_what_changes_no_result_makes_nothing_stale(as_if_made, edit):
    edit(as_if_made)
    assert all(_status(name).word == "made" for name in ("start", "jma/table-01", "jma/table-02"))


def test_two_edits_are_named_and_the_others_counted(as_if_made):
    for name in "abc":
        _append(f"lib/flipbook/attacks/{name}.json")(as_if_made)
    expected = "lib/flipbook/attacks/a.json is new, lib/flipbook/attacks/b.json is new and 1 more"
    assert _status("jma/table-01").reason == expected


def test_the_inputs_file_moves_only_with_its_content(here):
    target = Target(artefacts.read()["jma/table-01"], "laptop")
    path = inputs.write(target, inputs.current(target))
    os.utime(path, (1, 1))
    inputs.write(target, inputs.current(target))
    assert path.stat().st_mtime == 1
    _append("lib/flipbook/goals.py", "x = 2")(here)
    inputs.write(target, inputs.current(target))
    assert path.stat().st_mtime > 1


def test_a_damaged_notebook_is_named(as_if_made):
    (as_if_made / "notebooks" / "jma" / "tables.ipynb").write_text("{")
    assert "notebooks/jma/tables.ipynb is not a notebook" in _status("jma/table-01").reason


def test_a_missing_notebook_is_named(as_if_made):
    (as_if_made / "notebooks" / "jma" / "tables.ipynb").unlink()
    assert _status("jma/table-01") == status.Status("not made", "notebooks/jma/tables.ipynb is missing")


def test_a_record_edited_with_its_file_deceives_nobody(as_if_made):
    target = Target(artefacts.read()["jma/table-01"], "laptop")
    _append("figures/laptop/jma/table-01.csv")(as_if_made)
    published.write(target.figure(""), status.files(target))
    assert _status("jma/table-01").reason == "figures/laptop/jma/table-01.csv changed since it was made"


def test_a_clone_tells_what_changed_without_the_folder_build(as_if_made):
    shutil.rmtree(as_if_made / "build")
    assert _status("jma/table-01") == status.Status("not made", "published by a run elsewhere")
    _append("figures/laptop/jma/table-01.csv")(as_if_made)
    changed = "figures/laptop/jma/table-01.csv changed since it was made"
    assert _status("jma/table-01") == status.Status("not made", changed)
