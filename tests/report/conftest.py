import pytest

from companion import paths

MAP = """id,paper,artefact,title,notebook,parameters,minutes,gpu,pending
start,guide,Start here,Four attacks,00-start-here.ipynb,,1,0,
jma/table-06,jma,Table VI,Targets <from> the training set,jma/flip-labels.ipynb,artefact=table-06,1,1,
jma/figure-03,jma,Figure 3,Flipped images,jma/flipped.ipynb,,2,1,
masw/table-01,masw,Table I,Untargeted attacks & more,,,,1,comes with the MASW notebooks
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with a small map; returns the folder of its figures."""
    (tmp_path / "notebooks" / "jma").mkdir(parents=True)
    (tmp_path / "notebooks" / "artefacts.csv").write_text(MAP)
    for name in ("00-start-here.ipynb", "jma/flip-labels.ipynb"):
        (tmp_path / "notebooks" / name).write_text("{}")
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setenv("FLIPBOOK_FIGURES", str(tmp_path / "figures"))
    monkeypatch.delenv("FLIPBOOK_VARIANT", raising=False)
    monkeypatch.setenv("FLIPBOOK_JOB", "as the runner would")
    return tmp_path / "figures"
