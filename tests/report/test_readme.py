"""The README's map agrees with the notebooks on the map and the verdicts of the committed cards."""

import re

from companion import paths
from companion.report import readme


def test_the_map_is_up_to_date():
    text = (paths.ROOT / "README.md").read_text()
    written = text.split(readme.START)[1].split(readme.END)[0].strip()
    assert written == readme.table(), "run `python -m companion.report.readme` and commit README.md"


def test_every_link_leads_somewhere():
    text = (paths.ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 20
    assert [link for link in links if not (paths.ROOT / link).exists()] == []
