"""figures/index.html: every table and figure of all papers on one page that opens without a server.

The page is made from the map (notebooks/artefacts.csv) and the cards that `save` writes, and holds nothing else, so
that it changes only when an artefact does. A card counts while all files of its artefact are those that a run made.
"""

import json
import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from companion import paths, published
from companion.artefacts import GUIDE, Row
from companion.artefacts import read as read_map
from companion.report.claims import Claim, claims_html
from companion.report.papers import PAPERS
from companion.report.saving import TABLE_END, TABLE_START
from flipbook.storage.files import write_whole

TEMPLATE = Path(__file__).with_name("index_template.html")


@dataclass(frozen=True)
class Card:
    """What `save` left of an artefact in one folder of figures/ ("laptop", "laptop+step=0.3", "paper")."""

    folder: str
    content: dict

    def file(self, suffix: str) -> Path | None:
        """Return the artefact's file with this ending, or None."""
        path = paths.figures() / self.folder / f"{self.content['artefact']}{suffix}"
        return path if path.is_file() else None

    @property
    def claims(self) -> list[Claim]:
        """The claims with their verdicts."""
        return [Claim(**claim) for claim in self.content["claims"]]


def build(profile: str = "laptop") -> Path:
    """Write figures/index.html and return its path.

    Parameters
    ----------
    profile : str
        The profile whose artefacts are shown; results of other profiles and of tweaked runs follow each artefact.
    """
    rows = list(read_map().values())
    cards = {row.id: _card(profile, row.id) for row in rows}
    sections = [_guide([row for row in rows if row.paper == GUIDE])]
    for paper in dict.fromkeys(row.paper for row in rows if row.paper != GUIDE):
        sections.append(_section(paper, [row for row in rows if row.paper == paper], cards, profile))
    filled = TEMPLATE.read_text(encoding="utf-8")
    for name, text in {
        "summary": _summary(rows, cards),
        "profile": escape(profile),
        "sections": "\n".join(sections),
    }.items():
        filled = filled.replace(f"<!-- {name} -->", text)
    path = paths.figures() / "index.html"
    write_whole({path: filled})
    return path


def _card(folder: str, artefact_id: str) -> Card | None:
    """Return the card, or None where there is none that a run made (then the artefact counts as not made)."""
    if _changed(folder, artefact_id):
        return None
    path = paths.figures() / folder / f"{artefact_id}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Card(folder, content) if isinstance(content, dict) and content.get("artefact") == artefact_id else None


def _changed(folder: str, artefact_id: str) -> str:
    base = paths.figures() / folder / artefact_id
    return published.difference(base, published.read(base))


def _variants(row: Row, profile: str) -> list[Card]:
    folders = sorted(path.name for path in paths.figures().glob("*") if path.is_dir() and path.name != profile)
    return [card for folder in folders if (card := _card(folder, row.id))]


def _summary(rows: list[Row], cards: dict[str, Card | None]) -> str:
    artefacts = [row for row in rows if row.paper != GUIDE]
    made = [cards[row.id] for row in artefacts if cards[row.id]]
    verdicts = [claim.holds for card in made for claim in card.claims]
    counts = [
        (f"{len(made)} of {len(artefacts)}", "tables and figures made"),
        (str(verdicts.count(True)), "claims hold"),
        (str(verdicts.count(False)), "do not hold"),
        (str(verdicts.count(None)), "without a verdict"),
        (str(sum(bool(row.pending) for row in artefacts)), "still to come"),
    ]
    return "".join(f"<div><b>{number}</b> {escape(what)}</div>" for number, what in counts)


def _guide(rows: list[Row]) -> str:
    links = "".join(
        f"<li>{_link(row.path, row.artefact)}: {escape(row.title)}</li>" for row in rows if row.path.is_file()
    )
    return f'<section class="guide"><h2>Start here</h2><ul>{links}</ul></section>' if links else ""


def _section(paper: str, rows: list[Row], cards: dict[str, Card | None], profile: str) -> str:
    name, title, authors = PAPERS.get(paper, (paper.upper(), "", ""))
    shown = {row.id for row in rows if cards[row.id] or _variants(row, profile)}
    articles = "\n".join(_article(row, cards[row.id], profile) for row in rows if row.id in shown)
    chips = "".join(_chip(row, cards[row.id], row.id in shown) for row in rows)
    waiting = _coming([row for row in rows if row.id not in shown], profile)
    return (
        f'<section id="{escape(paper)}"><h2>{escape(name)}</h2>'
        f'<p class="paper">{escape(title)}<br><small>{escape(authors)}</small></p>'
        f'<p class="chips">{chips}</p>{articles}{waiting}</section>'
    )


def _chip(row: Row, card: Card | None, shown: bool) -> str:
    """Return the artefact's name, coloured by its verdicts, as a link to its place on the page."""
    verdicts = {claim.holds for claim in card.claims} if card else set()
    mixed = {True, False} <= verdicts
    colour = (
        "mixed" if mixed else "yes" if True in verdicts else "no" if False in verdicts else "open" if card else "none"
    )
    name = escape(row.artefact)
    return (
        f'<a class="chip {colour}" href="#{escape(row.id)}">{name}</a>'
        if shown
        else f'<span class="chip">{name}</span>'
    )


def _coming(rows: list[Row], profile: str) -> str:
    """Return the artefacts that this profile has not made, with what is missing."""
    if not rows:
        return ""
    lines = "".join(
        f'<tr class="artefact" id="{escape(row.id)}"><td>{escape(row.artefact)}</td><td>{escape(row.title)}</td>'
        f"<td>{escape(row.pending) or _how_to_make(row, profile)}</td></tr>"
        for row in rows
    )
    return f'<div class="scroll"><p class="coming">Not made yet</p><table class="coming">{lines}</table></div>'


def _how_to_make(row: Row, profile: str) -> str:
    there = (paths.figures() / profile / f"{row.id}.json").is_file()
    reason = f"{escape(_changed(profile, row.id))}: " if there else ""
    return f"{reason}<code>./run_all.sh {escape(row.id)}</code>, about {row.minutes:g} min"


def _article(row: Row, card: Card | None, profile: str) -> str:
    head = f"<h3>{escape(row.artefact)} <span>{escape(row.title)}</span></h3>"
    body = _body(row, card) if card else f'<p class="status">not made in the profile {escape(profile)} yet</p>'
    variants = "".join(_variant(row, other) for other in _variants(row, profile))
    return f'<article class="artefact" id="{escape(row.id)}">{head}{_badges(card)}{body}{variants}</article>'


def _variant(row: Row, card: Card) -> str:
    where = escape(f"Also made: {card.folder}, on {card.content['data']}")
    return f"<details><summary>{where}</summary>{_body(row, card)}</details>"


def _badges(card: Card | None) -> str:
    verdicts = [claim.holds for claim in card.claims] if card else []
    named = [(True, "yes", "hold"), (False, "no", "do not hold"), (None, "open", "no verdict")]
    badges = [
        f'<span class="badge {css}">{verdicts.count(verdict)} {word}</span>'
        for verdict, css, word in named
        if verdict in verdicts
    ]
    return f'<p class="badges">{"".join(badges)}</p>' if badges else ""


def _body(row: Row, card: Card) -> str:
    parts = []
    if picture := card.file(".png"):
        large = card.file(".svg") or picture
        image = f'<img loading="lazy" src="{_href(picture)}" alt="{escape(row.title)}">'
        parts.append(f'<a class="picture" href="{_href(large)}">{image}</a>')
    if page := card.file(".html"):
        _, found, rest = page.read_text(encoding="utf-8").partition(TABLE_START)
        parts.append(f'<div class="scroll">{rest.partition(TABLE_END)[0]}</div>' if found else "")
    if card.claims:
        parts.append(f'<div class="scroll">{claims_html(card.claims)}</div>')
    return "".join(parts) + f"<dl>{_facts(_details(row, card))}</dl>"


def _details(row: Row, card: Card) -> list[tuple[str, str]]:
    content = card.content
    seconds = content.get("seconds")
    return [
        ("data", escape(content["data"])),
        ("victim", escape(content["victim"])),
        ("images", escape(str(content["images"])) if content.get("images") else ""),
        ("smaller than the paper", escape(content.get("reduced") or "")),
        ("notebook", _notebook(row, card)),
        ("functions", ", ".join(_function(name) for name in content["functions"])),
        (
            "files",
            ", ".join(
                _link(path, path.suffix[1:]) for s in (".csv", ".html", ".png", ".svg") if (path := card.file(s))
            ),
        ),
        ("computing", _minutes(seconds) if seconds else ""),
    ]


def _facts(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in pairs if text)


def _notebook(row: Row, card: Card) -> str:
    links = [_link(row.path, f"notebooks/{row.notebook}")] if row.path.is_file() else [escape(row.notebook)]
    executed = card.file(".ipynb")
    return ", ".join(links + ([_link(executed, "as executed for this")] if executed else []))


def _function(dotted: str) -> str:
    """Return a dotted name, linked to the file that defines it."""
    names = dotted.split(".")
    for length in range(len(names), 1, -1):
        base = paths.ROOT.joinpath("lib", *names[:length])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return f"<code>{_link(path, '.'.join(names[1:]))}</code>"
    return f"<code>{escape(dotted)}</code>"


def _minutes(seconds: float) -> str:
    return "under a minute" if seconds < 60 else f"about {seconds / 60:.0f} min"


def _link(path: Path, text: str) -> str:
    return f'<a href="{_href(path)}">{escape(text)}</a>'


def _href(path: Path) -> str:
    """Return the path as seen from figures/index.html."""
    return quote(Path(os.path.relpath(path, paths.figures())).as_posix())
