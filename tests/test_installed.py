"""The library away from its checkout, as a wheel, and a checkout as Git for Windows makes it."""

import os
import subprocess
import sys
import zipfile

import pytest

from companion import paths

SCRIPT = """
from pathlib import Path
import torch
import flipbook
from flipbook import datasets, graphs, paths, semantics, victims
from flipbook.attacks import gmla
from flipbook.goals import HideLabels
home = Path.home()
site = Path(flipbook.__file__).parents[1]
for place in (paths.data_root(), paths.store(), paths.figures(), paths.VICTIMS, paths.BUILD):
    assert home in place.parents and site not in place.parents, place
assert [len(graphs.load(name).labels) for name in ("voc", "nus-wide", "open-images")] == [35, 116, 601]
graph = graphs.load("pictograms20")
images, _ = datasets.stack(datasets.load("pictograms20", split="test"), range(2))
hidden = graph.mask(["smiley", "king"])
try:
    victims.load("pictograms20-asl")
except FileNotFoundError as error:
    print(error)
else:
    raise AssertionError("weights came from somewhere")
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].numel(), len(graph.labels))).eval()
predicted = model(images) > 0
gmla(model, images, HideLabels(semantics.h(graph, predicted, hidden)), bound=0.05, max_iterations=2)
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
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(
        "the weights of victim 'pictograms20-asl' are no part of the installed package: clone"
    )
    assert said.stdout.count("\n") == 1
    weights = kept | {"PYTHONPATH": str(site), "HOME": str(home), "FLIPBOOK_DATA": str(paths.ROOT / "data")}
    loads = "from flipbook import victims; print(type(victims.load('pictograms20-asl')).__name__)"
    subprocess.run([sys.executable, "-c", loads], cwd=tmp_path, env=weights, check=True)
