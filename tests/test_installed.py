"""The library alone and away from its checkout, as a wheel, and a checkout as Git for Windows makes it."""

import os
import subprocess
import sys
import zipfile

import pytest

from companion import paths

ATTACKS = """
import importlib.abc, sys

class OnlyThese(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not installed")

BLOCKED = {"pandas", "pyarrow", "safetensors", "filelock", "tqdm", "skimage", "sklearn", "matplotlib", "seaborn", "PIL",
           "torchvision", "torchmetrics", "lightning", "nltk", "companion"}
sys.meta_path.insert(0, OnlyThese())
from flipbook import attacks, goals, graphs
import flipbook.sparse
"""

SCRIPT = """
from pathlib import Path
import torch
import flipbook
from flipbook import evaluation, graphs
from flipbook.attacks import gmla
from flipbook.goals import HideLabels
from flipbook.graphs import consistency
from flipbook.storage import places
home, site = Path.home(), Path(flipbook.__file__).parents[1]
assert sorted(path.name for path in site.iterdir() if path.suffix != ".dist-info") == ["flipbook"]
assert home in places.store().parents and site not in places.store().parents
assert [len(graphs.load(name).labels) for name in ("voc", "nus-wide", "open-images")] == [35, 116, 601]
graph = graphs.load("voc")
torch.manual_seed(0)
images = torch.rand(2, 3, 8, 8)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].numel(), len(graph.labels))).eval()
predicted = model(images) > 0
goal = HideLabels(consistency.h(graph, predicted, predicted & (predicted.cumsum(dim=1) == 1)))
rows = evaluation.run(gmla, model, images, goal, hyper={"bound": 0.05, "max_iterations": 2}, progress=False)
assert len(rows) == 2 and len(list(places.store().rglob("*.parquet"))) == 1
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of what is committed here, as core.autocrlf makes it."""
    if not (paths.ROOT / ".git").exists():
        pytest.fail("these tests need the repository, not a copy without its history")
    folder = tmp_path_factory.mktemp("crlf") / "clone"
    options = ["-c", "core.autocrlf=true"]
    subprocess.run(
        ["git", *options, "clone", "-q", "--depth", "1", *options, f"file://{paths.ROOT}", str(folder)], check=True
    )
    return folder


def test_a_checkout_with_autocrlf_starts(clone):
    text = (clone / "run_all.sh").read_bytes()
    assert b"\r" not in text
    assert b"\r" not in (clone / "figures" / "laptop" / "jma" / "table-01.csv").read_bytes()
    environment = os.environ | {"FLIPBOOK_PYTHON": sys.executable}
    said = subprocess.run(
        [str(clone / "run_all.sh"), "--help"], env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr


def test_a_wheel_works_away_from_the_checkout(clone, tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(clone)], check=True, env=os.environ | {"PIP_NO_INDEX": "1"})
    (wheel,) = tmp_path.glob("*.whl")
    site, home = tmp_path / "site", tmp_path / "home"
    home.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLIPBOOK_", "XDG_"))}
    kept.pop("DATA_ROOT", None)
    environment = kept | {"PYTHONPATH": str(site), "HOME": str(home)}
    for script in (ATTACKS, SCRIPT):
        said = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert said.returncode == 0, said.stderr
