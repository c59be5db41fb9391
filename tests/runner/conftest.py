"""Checkouts to run in: one made once for a whole file, and copies of it to break."""

import json
import shutil
from pathlib import Path

import pytest

from tests.runner import fake_checkout


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Return a checkout after a first run in which one notebook failed, and what that run said."""
    root = fake_checkout.lay_out(tmp_path_factory.mktemp("check outs") / "fake")
    (root / "break-table-03").touch()
    return root, fake_checkout.call(root)


@pytest.fixture
def made(first_run, tmp_path) -> Path:
    """Return a copy of the checkout after the first run."""
    return Path(shutil.copytree(first_run[0], tmp_path / "copy", ignore=shutil.ignore_patterns(".snakemake")))


@pytest.fixture
def as_if_made(here) -> Path:
    """Give the checkout of this process the files that a run leaves behind, without running anything."""
    from companion import artefacts, published
    from companion.runner import inputs, status
    from companion.target import Target

    for row in artefacts.read().values():
        target = Target(row, "laptop")
        if row.pending:
            continue
        target.figure(".ipynb").parent.mkdir(parents=True, exist_ok=True)
        target.build(".made.json").parent.mkdir(parents=True, exist_ok=True)
        target.figure(".ipynb").touch()
        if target.needs_card:
            target.figure(".csv").touch()
            target.figure(".json").write_text(json.dumps({"files": [target.figure(".csv").name], "claims": []}))
        digests = published.write(target.figure(""), status.files(target))
        record = {"inputs": inputs.current(target), "published": digests}
        target.build(".made.json").write_text(json.dumps(record))
    return here


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Lay out a checkout and have this process's `companion.paths` point at it."""
    from companion import paths

    root = fake_checkout.lay_out(tmp_path / "fake")
    monkeypatch.delenv("FLIPBOOK_FIGURES", raising=False)
    for name, folder in {"ROOT": "", "NOTEBOOKS": "notebooks", "DATA": "data", "BUILD": "build"}.items():
        monkeypatch.setattr(paths, name, root / folder)
    monkeypatch.setattr(paths, "REPORTED", root / "data" / "reported")
    monkeypatch.setattr(paths, "VICTIMS", root / "data" / "victims")
    return root
