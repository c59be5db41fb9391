"""The README's map agrees with the notebooks on the map and the verdicts of the committed cards."""

import io
import re
import subprocess
import tarfile

import pytest

from companion import paths
from companion.report import readme


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """What is committed of README and figures: a reader's own run may have made other figures since."""
    command = ["git", "archive", "HEAD", "README.md", "figures/laptop", "notebooks/artefacts.csv"]
    packed = subprocess.run(command, cwd=paths.ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    return tmp_path


def test_the_map_is_up_to_date(committed):
    text = (committed / "README.md").read_text()
    written = text.split(readme.START)[1].split(readme.END)[0].strip()
    assert written == readme.table(), "run `python -m companion.report.readme` and commit README.md"


def test_every_link_leads_somewhere():
    text = (paths.ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 20
    assert [link for link in links if not (paths.ROOT / link).exists()] == []
