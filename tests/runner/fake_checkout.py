"""A small checkout with notebooks that take no time, for the runner's tests."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PROJECT = Path(__file__).parents[2]
PARAMETERS = """\
artefact = "table-01"  # which table
profile = "laptop"  # data and sizes
device = "auto"  # where
step = 0.5  # size of a step
images = 4  # how many
keep = True  # whether
attacks = ["jma", "lots"]  # which
"""
WORK = """\
import json, sys, time
from pathlib import Path
from companion import paths
if False:  # what it would need
    from flipbook.attacks import jma
root = Path.cwd()
print("running in", root / "notebooks", file=sys.stderr)
if (root / f"break-{artefact}").exists():
    raise RuntimeError(f"{artefact} is broken")
while (root / f"hold-{artefact}").exists():
    time.sleep(0.1)
print(f"{root}/data is the folder; step {step}, {images} images, {device}")
"""
SAVE = """\
folder = paths.artefact_folder(profile) / "jma"
folder.mkdir(parents=True, exist_ok=True)
(folder / f"{artefact}.csv").write_text(f"step,images,keep,attacks\\n{step!r},{images!r},{keep!r},{attacks!r}\\n")
claims = [{"text": "a is less than b", "place": "p. 1", "ours": "1 < 2", "holds": True}]
wrong = {"text": "c is less than d", "place": "p. 2", "ours": "4 > 3", "holds": False}
claims += [wrong] if artefact == "table-02" else []
card = {"artefact": f"jma/{artefact}", "claims": claims, "files": [f"{artefact}.csv"], "profile": profile}
card |= {"data": "none", "victim": "none", "functions": []}
(folder / f"{artefact}.json").write_text(json.dumps(card))
"""
MAP = """\
id,paper,artefact,title,notebook,parameters,minutes,gpu,pending
start,guide,Start here,The first notebook,start.ipynb,,1,0,
jma/table-01,jma,Table I,One,jma/tables.ipynb,artefact=table-01,1,1,
jma/table-02,jma,Table II,Two,jma/tables.ipynb,artefact=table-02; images=6,1,1,
jma/table-03,jma,Table III,Three,jma/tables.ipynb,artefact=table-03,1,1,
sapf/figure-01,sapf,Figure 1,Later,,,,1,comes with the SAPF notebooks
"""


def notebook(*cells: str, parameters: str = PARAMETERS):
    """Return a notebook with a title, a parameters cell and these cells."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]}, id="parameters")
    rest = [new_code_cell(text, id=f"cell-{number}") for number, text in enumerate(cells)]
    return new_notebook(cells=[new_markdown_cell("# Title", id="title"), first, *rest])


def lay_out(root: Path) -> Path:
    """Write the checkout into the folder `root` and return it."""
    for folder in (
        "notebooks/jma",
        "lib/flipbook/attacks",
        "lib/companion/runner",
        "data/victims",
        "data/reported/jma",
    ):
        (root / folder).mkdir(parents=True)
    shutil.copy(PROJECT / "Snakefile", root)
    (root / "notebooks" / "artefacts.csv").write_text(MAP)
    nbformat.write(notebook(WORK, SAVE), root / "notebooks" / "jma" / "tables.ipynb")
    nbformat.write(notebook("print(step + 1)", parameters="step = 0.5  # size"), root / "notebooks" / "start.ipynb")
    (root / "lib" / "flipbook" / "attacks" / "jma.py").write_text("from flipbook import goals\n\nstep = 1\n")
    (root / "lib" / "flipbook" / "goals.py").write_text("k = 1\n")
    (root / "lib" / "flipbook" / "graphs.py").write_text("nothing = 0\n")
    (root / "lib" / "companion" / "runner" / "make.py").write_text("x = 1\n")
    (root / "data" / "victims" / "net.safetensors").write_bytes(b"weights")
    (root / "data" / "reported" / "jma" / "table-01.csv").write_text("a\n1\n")
    return root


def command(*words: str) -> list[str]:
    """Return the command line of the runner with these words."""
    return [sys.executable, "-m", "companion", *words]


def environment(root: Path) -> dict[str, str]:
    """Return an environment in which the runner works on `root`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLIPBOOK_")}
    return kept | {"FLIPBOOK_ROOT": str(root), "CUDA_VISIBLE_DEVICES": ""}


def call(root: Path, *words: str) -> subprocess.CompletedProcess:
    """Run the runner on `root` and return what it said."""
    return subprocess.run(command(*words), env=environment(root), capture_output=True, text=True, check=False)


def statuses(root: Path) -> dict[str, str]:
    """Return the line of `list` for every artefact by its id."""
    lines = call(root, "list").stdout.splitlines()
    return {line.split()[0]: line for line in lines if line and not line.startswith("Profile")}


def made(root: Path, artefact: str, folder: str = "laptop") -> dict:
    """Return the record of a made artefact."""
    return json.loads((root / "build" / folder / f"{artefact}.made.json").read_text())
