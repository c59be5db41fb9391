import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion import published
from companion.report import Claims, index
from companion.report import save as save_only

COMMON = {"data": "toy <set>", "victim": "affine & co", "functions": ["flipbook.metrics.images.mse", "elsewhere.f"]}


def save(artefact_id, **content):
    """Save as in a job, which then records what was made."""
    saved = save_only(artefact_id, **content)
    published.write(saved.files[-1].with_suffix(""), saved.files)


class Page(HTMLParser):
    """Collects ids, links and text, and checks that tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.words, self._open = [], [], [], []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag not in ("meta", "img", "input", "br", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def claims():
    found = Claims()
    found.check("a <b> holds", "Table VI", "1 & 2", True)
    found.check("another does not", "Table VI", "0", False)
    return found


def page_of(path):
    return Page(path.read_text(encoding="utf-8"))


def test_every_artefact_is_listed_before_anything_is_made(project):
    page = page_of(index.build())
    assert {"jma/table-06", "jma/figure-03", "masw/table-01", "jma", "masw"} <= set(page.ids)
    text = " ".join(page.words)
    assert "0 of 3" in text
    assert "comes with the MASW notebooks" in text
    assert "./run_all.sh jma/figure-03" in text
    assert "Targets <from> the training set" in text  # escaped in the file, so it arrives as text


def test_made_artefacts_show_table_picture_claims_and_facts(project, claims):
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    table = pd.DataFrame({"method": ["JMA"], "asr": [0.123]})
    save(
        "jma/table-06",
        profile="laptop",
        table=table,
        figure=figure,
        claims=claims,
        reduced="8 images",
        seconds=200,
        **COMMON,
    )
    path = index.build()
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    words = " ".join(page.words)
    for expected in (
        "1 of 3",
        "0.12",
        "a <b> holds",
        "does not hold",
        "8 images",
        "toy <set>",
        "about 3 min",
        "Table VI",
    ):
        assert expected in words
    assert "laptop/jma/table-06.png" in page.links
    assert "<b> holds" not in text
    assert "elsewhere.f" in words


def test_links_lead_to_files_and_nowhere_else(project, claims):
    save("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [1.0]}), claims=claims, **COMMON)
    base = project / "laptop" / "jma" / "table-06"
    base.with_suffix(".ipynb").write_text("{}")
    published.write(base, [base.with_name(name) for name in published.read(base)] + [base.with_suffix(".ipynb")])
    path = index.build()
    page = page_of(path)
    files = [link for link in page.links if not link.startswith("#")]
    assert any(link.endswith("metrics/images.py") for link in files)
    assert any(link.endswith("laptop/jma/table-06.ipynb") for link in files)
    for link in files:
        assert not re.match(r"\w+:|/", link), link
        assert (path.parent / unquote(link)).is_file(), link
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids) | {"gmla", "cmlu", "sapf"}


def test_variants_follow_their_artefact(project, claims, monkeypatch):
    save("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [1.0]}), **COMMON)
    monkeypatch.setenv("FLIPBOOK_VARIANT", "step=0.3")
    save("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [0.77]}), **COMMON)
    words = " ".join(page_of(index.build()).words)
    assert "Also made: laptop+step=0.3" in words
    assert "0.77" in words
    assert "1 of 3" in words


def test_the_page_depends_on_the_artefacts_alone_and_a_damaged_card_counts_as_not_made(project, claims):
    save("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [1.0]}), claims=claims, **COMMON)
    first = index.build().read_bytes()
    card = project / "laptop" / "jma" / "table-06.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"made": "2001-01-01"}))
    published.write(card.with_suffix(""), [card.with_name(name) for name in published.read(card.with_suffix(""))])
    assert index.build().read_bytes() == first
    card.write_text('{"artefact": ')
    assert "0 of 3" in " ".join(page_of(index.build()).words)


@pytest.mark.parametrize("ending", [".html", ".json", ".csv", ".png", ".svg", ".sha256", ".ipynb"])
@pytest.mark.parametrize("how", ["edit", "remove", "replace"])
def test_numbers_that_no_run_made_are_not_taken_over(project, claims, ending, how):
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    save("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [0.77]}), figure=figure, claims=claims, **COMMON)
    assert "0.77" in " ".join(page_of(index.build()).words)
    path = project / "laptop" / "jma" / f"table-06{ending}"
    if how == "edit" or not path.exists():
        path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    elif how == "remove":
        path.unlink()
    else:
        save_only("jma/table-06", profile="laptop", table=pd.DataFrame({"asr": [0.55]}), claims=claims, **COMMON)
    words = " ".join(page_of(index.build()).words)
    assert "0.77" not in words
    assert "0.55" not in words
    assert "0 of 3" in words
    assert "./run_all.sh jma/table-06" in words
