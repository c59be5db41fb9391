"""Reading a notebook's parameters, and texts as values of their types."""

import nbformat
import pytest

from companion import artefacts
from companion.refusal import Refusal
from companion.runner import parameters
from companion.target import Target
from tests.runner import fake_checkout


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("3", 1, 3),
        ("-3", 1, -3),
        ("3", 0.5, 3.0),
        ("1e-3", 0.5, 0.001),
        ("007", "x", "007"),
        ("True", "x", "True"),
        ("false", True, False),
        ("1", False, True),
        ("a,b", "x", "a,b"),
        ("[1, 2]", [3], [1, 2]),
        ("1, 2", [3], [1, 2]),
        ("'jma', 'lots'", ["mla"], ["jma", "lots"]),
        ("3", None, 3),
        ("abc", None, "abc"),
        ("None", None, None),
    ],
)
def test_texts_become_values_of_the_defaults_type(text, default, value):
    found = parameters.parsed("name", text, default)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "default"), [("2.5", 1), ("true", 1), ("x", 0.5), ("2", True), ("jma", [1]), ("", 1), ("[1", [1])]
)
def test_wrong_types_are_refused(text, default):
    with pytest.raises(Refusal, match=r"parameter name must be .*, such as"):
        parameters.parsed("name", text, default)


def test_every_way_to_write_a_default_is_read(tmp_path):
    text = 'a = 1  # one = 1\nb: float = 0.5\nc = (\n    "x",\n    "y",\n)\nd = dict(e=1)\n'
    nbformat.write(fake_checkout.notebook(parameters=text), tmp_path / "x.ipynb")
    assert parameters.defaults(tmp_path / "x.ipynb") == {"a": 1, "b": 0.5, "c": ("x", "y"), "d": None}


def test_a_parameters_cell_with_an_error_is_named(here):
    nbformat.write(fake_checkout.notebook(parameters="a = = 1"), here / "notebooks" / "x.ipynb")
    with pytest.raises(Refusal, match=r"notebooks/x.ipynb: its parameters cell is not Python"):
        parameters.defaults(here / "notebooks" / "x.ipynb")


def _target(name, **tweaks):
    return Target(artefacts.read()[name], "laptop", tweaks)


def test_a_notebook_gets_its_rows_values_and_only_names_that_it_has(here):
    assert parameters.chosen(_target("jma/table-02", step="0.1"), "cpu", retrain=False) == {
        "profile": "laptop",
        "device": "cpu",
        "artefact": "table-02",
        "images": 6,
        "step": 0.1,
    }
    assert parameters.chosen(_target("start"), "cpu", retrain=False) == {}


def test_a_name_on_the_map_that_the_notebook_lacks_is_refused(here):
    path = here / "notebooks" / "artefacts.csv"
    path.write_text(path.read_text().replace("images=6", "imagse=6"))
    with pytest.raises(Refusal, match='no parameter "imagse"; did you mean "images"'):
        parameters.chosen(_target("jma/table-02"), "cpu", retrain=False)


def test_retraining_needs_a_notebook_that_can(here):
    with pytest.raises(Refusal, match=r'notebooks/start.ipynb has no parameter "retrain"'):
        parameters.chosen(_target("start"), "cpu", retrain=True)


def test_only_the_notebooks_own_parameters_are_its_defaults(here):
    names = {"jma/table-01": True, "jma/table-02": False, "jma/table-03": False, "start": True}
    assert {name: parameters.is_default(_target(name)) for name in names} == names
    assert not parameters.is_default(_target("jma/table-01", step="0.1"))
    assert not parameters.is_default(Target(artefacts.read()["jma/table-01"], "paper"))


def test_tweaked_folders_have_plain_and_distinct_names(here):
    assert _target("start").folder == "laptop"
    assert _target("start", step="0.1", images="3").folder == "laptop+step=0.1,images=3"
    odd = [_target("start", step=value).folder for value in ("../a b", "../a_b", "x" * 200)]
    assert len(set(odd)) == 3
    assert not any("/" in name or " " in name or len(name) > 90 for name in odd)
