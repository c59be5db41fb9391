import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from companion.report import Claims, save
from flipbook.goals import LabelVector

COMMON = {"profile": "laptop", "data": "toy", "victim": "affine", "functions": [LabelVector, "flipbook.metrics.mse"]}


def drawn(slope=1.0):
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot([0, 1], [0, slope])
    return figure


def claimed():
    claims = Claims()
    claims.check("it works", "Table VI", "1.00", True)
    return claims


def test_all_files_and_the_card_are_written(project):
    table = pd.DataFrame({"method": ["JMA"], "asr": [1.0]})
    saved = save(
        "jma/table-06", table=table, figure=drawn(), claims=claimed(), images=5, reduced="5 images", seconds=3, **COMMON
    )
    folder = project / "laptop" / "jma"
    assert {path.name for path in folder.iterdir()} == {f"table-06.{s}" for s in ("csv", "html", "png", "svg", "json")}
    card = json.loads((folder / "table-06.json").read_text(encoding="utf-8"))
    assert card == saved.card
    assert card["title"] == "Table VI: Targets <from> the training set"
    assert card["functions"] == ["flipbook.goals.labels.LabelVector", "flipbook.metrics.mse"]
    assert card["notebook"] == "notebooks/jma/flip-labels.ipynb"
    assert card["claims"] == [{"text": "it works", "place": "Table VI", "ours": "1.00", "holds": True, "reason": ""}]
    assert sorted(card["files"]) == ["table-06.csv", "table-06.html", "table-06.png", "table-06.svg"]
    page = (folder / "table-06.html").read_text(encoding="utf-8")
    assert "Targets &lt;from&gt; the training set" in page
    assert pd.read_csv(folder / "table-06.csv").equals(table)
    assert not plt.get_fignums()  # closed, so that a notebook shows it once


def test_the_same_figure_gives_the_same_bytes(project):
    contents = []
    for _ in range(2):
        save("jma/figure-03", figure=drawn(), **COMMON)
        contents.append([(project / "laptop" / "jma" / f"figure-03.{s}").read_bytes() for s in ("png", "svg", "html")])
    assert contents[0] == contents[1]
    save("jma/figure-03", figure=drawn(slope=2), **COMMON)
    assert (project / "laptop" / "jma" / "figure-03.svg").read_bytes() != contents[0][1]


def test_a_failure_in_the_middle_leaves_the_old_artefact(project, monkeypatch):
    save("jma/table-06", table=pd.DataFrame({"asr": [1.0]}), claims=claimed(), **COMMON)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    write_bytes = Path.write_bytes

    def full_disk(path, content):
        if ".html" in path.name:
            raise OSError("No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save("jma/table-06", table=pd.DataFrame({"asr": [0.5]}), figure=drawn(), **COMMON)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_files_that_an_artefact_no_longer_has_go(project):
    save("jma/table-06", table=pd.DataFrame({"asr": [1.0]}), figure=drawn(), **COMMON)
    save("jma/table-06", table=pd.DataFrame({"asr": [1.0]}), **COMMON)
    assert {path.suffix for path in (project / "laptop" / "jma").iterdir()} == {".csv", ".html", ".json"}


def test_a_tweaked_run_has_its_own_folder(project, monkeypatch):
    monkeypatch.setenv("FLIPBOOK_VARIANT", "step=0.3")
    save("jma/table-06", table=pd.DataFrame({"asr": [1.0]}), **COMMON)
    assert (project / "laptop+step=0.3" / "jma" / "table-06.json").is_file()
    assert not (project / "laptop").exists()


def test_unknown_ids_and_nothing_to_save_are_refused(project):
    with pytest.raises(
        ValueError, match=r"'jma/table-6' is not in notebooks/artefacts\.csv; the nearest is 'jma/table-06'"
    ):
        save("jma/table-6", table=pd.DataFrame({"asr": [1.0]}), **COMMON)
    with pytest.raises(ValueError, match="jma/table-06: nothing to save"):
        save("jma/table-06", claims=claimed(), **COMMON)
    assert not project.exists()


def test_a_large_file_is_said(project):
    with pytest.warns(UserWarning, match=r"table-06\.(csv|html) has .* MB"):
        save("jma/table-06", table=pd.DataFrame({"text": ["x" * 600_000]}), **COMMON)


def test_it_shows_table_figure_and_claims(project, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda item: shown.append(type(item).__name__))
    save(
        "jma/table-06", table=pd.DataFrame({"asr": [1.0]}), figure=drawn(), claims=claimed(), **COMMON
    )._ipython_display_()
    assert shown == ["HTML", "Image", "HTML"]


def test_a_notebook_run_by_hand_writes_elsewhere_and_says_so(project, monkeypatch, capsys):
    save("jma/table-06", table=pd.DataFrame({"asr": [1.0]}), figure=drawn(), **COMMON)
    assert capsys.readouterr().out == ""
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    monkeypatch.delenv("FLIPBOOK_JOB")
    saved = save("jma/table-06", table=pd.DataFrame({"asr": [0.5]}), **COMMON)
    assert {path: path.read_bytes() for path in before} == before
    assert saved.files[0].parent == project / "by-hand" / "laptop" / "jma"
    (line,) = capsys.readouterr().out.splitlines()
    assert "by-hand/laptop/jma/table-06" in line
    assert line.endswith("./run_all.sh jma/table-06")


@pytest.mark.parametrize("profile", ["../..", "a/b", "", ".."])
def test_a_profile_that_leads_elsewhere_is_refused(project, profile):
    with pytest.raises(ValueError, match=r"profile is .*, it must be a plain name"):
        save("jma/table-06", table=pd.DataFrame({"asr": [0.5]}), **COMMON | {"profile": profile})
    assert not project.exists()
