"""The README's map from tables and figures to notebooks, with their verdicts, made from the cards.

`python -m companion.report.readme` writes it anew between the two marks in README.md.
"""

import json
from collections import Counter

from companion import artefacts, paths, published
from companion.report.papers import PAPERS
from flipbook.storage.files import write_whole

START, END = "<!-- map -->", "<!-- end of map -->"


def table() -> str:
    """The map in Markdown: one line an artefact that has a notebook, one a paper that is still to come."""
    lines = ["| | shows | notebook | claims here |", "|---|---|---|---|"]
    rows = [row for row in artefacts.read().values() if row.paper in PAPERS]
    for row in rows:
        if row.notebook:
            link = f"[{row.artefact}](figures/laptop/{row.id}.ipynb)"
            notebook = f"[{row.notebook}](notebooks/{row.notebook})"
            lines.append(f"| {PAPERS[row.paper][0]} {link} | {row.title} | {notebook} | {_verdict(row.id)} |")
    waiting = Counter(row.paper for row in rows if not row.notebook)
    for paper, count in waiting.items():
        lines.append(f"| {PAPERS[paper][0]} | {count} tables and figures | to come | |")
    return "\n".join(lines)


def update() -> None:
    """Write the map into README.md."""
    path = paths.ROOT / "README.md"
    text = path.read_text()
    if START not in text or END not in text:
        raise ValueError(f"README.md has no lines {START} and {END}: put them where the map belongs")
    before, after = text.split(START)[0], text.split(END)[1]
    write_whole({path: f"{before}{START}\n{table()}\n{END}{after}"})


def _verdict(artefact_id: str) -> str:
    base = paths.ROOT / "figures" / "laptop" / artefact_id
    if published.difference(base, published.read(base)):
        return "not made"
    path = base.with_name(f"{base.name}.json")
    claims = Counter(claim["holds"] for claim in json.loads(path.read_text())["claims"])
    words = {True: "hold", False: "do not", None: "no verdict"}
    return ", ".join(f"{claims[holds]} {word}" for holds, word in words.items() if claims[holds])


if __name__ == "__main__":
    update()
