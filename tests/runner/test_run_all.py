"""run_all.sh makes an environment once, finishes half-made ones, and hands over; installers are stood in for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runner import fake_checkout

TOOLS = (
    "bash",
    "basename",
    "cat",
    "cp",
    "cut",
    "dirname",
    "grep",
    "mkdir",
    "rm",
    "sed",
    "sha256sum",
    "tail",
    "tr",
    "wc",
)
# Stands for every Python: the base, which makes environments, and those environments' own.
PYTHON = """\
#!/usr/bin/env bash
case "$*" in
  -c*) exit 0 ;;
  "-m pip --version") exit 0 ;;
  "-m venv"*) mkdir -p .venv/bin; cp "$STAND_IN" .venv/bin/python; echo venv >>calls ;;
  "-m pip install"*)
    echo "pip ${*:5}" >>calls
    echo "Collecting things"
    if [ -e offline ]; then echo "ERROR: no network"; exit 1; fi ;;
  "-m companion"*) echo "companion:" "${@:3}"; pwd ;;
esac
"""
CONDA = """\
#!/usr/bin/env bash
echo "conda ${*:1:2}" >>calls
mkdir -p .env/conda-meta .env/bin
cp "$STAND_IN" .env/bin/python
"""
INSTALLED = ["pip --requirement .venv/flipbook-pins.txt", "pip --no-deps --editable ."]


@pytest.fixture
def checkout(tmp_path):
    """Lay out a folder, with a space in its name, that holds what run_all.sh needs, and stand-ins on the PATH."""
    root, tools = tmp_path / "check out", tmp_path / "tools"
    root.mkdir()
    tools.mkdir()
    for name in ("run_all.sh", "environment.yml", "pyproject.toml"):
        shutil.copy(fake_checkout.PROJECT / name, root)
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    _script(tmp_path / "stand-in", PYTHON)
    _script(tools / "python3.11", PYTHON)
    return root


def _script(path: Path, text: str) -> None:
    path.write_text(text.replace("/usr/bin/env bash", shutil.which("bash")))
    path.chmod(0o755)


def _run(root: Path, *words: str, **more: str) -> subprocess.CompletedProcess:
    environment = {"PATH": str(root.parent / "tools"), "STAND_IN": str(root.parent / "stand-in"), **more}
    return subprocess.run(
        [str(root / "run_all.sh"), *words],
        cwd=root.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _calls(root: Path) -> list[str]:
    calls = root / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return lines


def test_the_environment_is_made_once(checkout):
    said = _run(checkout, "jma", "-p", "name", "a b")
    assert said.stdout.endswith(f"companion: jma -p name a b\n{checkout}\n")
    assert said.returncode == 0
    assert _calls(checkout) == ["venv", *INSTALLED]
    assert _run(checkout).stdout == f"companion:\n{checkout}\n"
    assert _calls(checkout) == []


def test_a_half_made_environment_is_finished(checkout):
    (checkout / "offline").touch()
    said = _run(checkout)
    assert said.returncode == 1
    assert said.stderr.startswith("run_all.sh: ERROR: no network (all of it: build/environment.log")
    assert said.stderr.count("\n") == 1
    assert "companion:" not in said.stdout
    (checkout / "offline").unlink()
    _calls(checkout)
    assert _run(checkout).returncode == 0
    assert _calls(checkout) == INSTALLED


@pytest.mark.parametrize("name", ["environment.yml", "pyproject.toml"])
def test_other_pins_update_it(checkout, name):
    _run(checkout)
    _calls(checkout)
    with (checkout / name).open("a") as file:
        file.write("# more\n")
    _run(checkout)
    assert _calls(checkout) == INSTALLED


def test_a_moved_folder_is_installed_again(checkout):
    _run(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    _calls(moved)
    assert _run(moved).stdout.endswith(f"{moved}\n")
    assert _calls(moved) == INSTALLED


@pytest.mark.parametrize(("tool", "call"), [("micromamba", "conda create --prefix"), ("conda", "conda env create")])
def test_conda_is_used_where_there_is_one(checkout, tool, call):
    _script(checkout.parent / "tools" / tool, CONDA)
    assert _run(checkout).returncode == 0
    assert _calls(checkout) == [call, *(line.replace(".venv", ".env") for line in INSTALLED)]
    _run(checkout)
    assert _calls(checkout) == []


def test_a_file_named_env_is_not_removed(checkout):
    _script(checkout.parent / "tools" / "conda", CONDA)
    (checkout / ".env").write_text("TOKEN=1\n")
    said = _run(checkout)
    assert said.returncode == 1
    assert ".env is there but is no conda environment" in said.stderr
    assert (checkout / ".env").read_text() == "TOKEN=1\n"


def test_no_python_is_said_in_one_line(checkout):
    (checkout.parent / "tools" / "python3.11").unlink()
    said = _run(checkout)
    assert said.returncode == 1
    assert said.stderr.startswith("run_all.sh: needs Python 3.11 or newer, or conda, and finds neither")
    assert said.stderr.count("\n") == 1


def test_an_interpreter_of_the_readers_choice_is_taken_as_it_is(checkout):
    said = _run(checkout, "list", FLIPBOOK_PYTHON="tools/python3.11")  # relative to where the reader is
    assert said.stdout == f"companion: list\n{checkout}\n"
    assert _calls(checkout) == []
    assert "is not a Python 3.11 or newer" in _run(checkout, FLIPBOOK_PYTHON="/bin/nothing").stderr


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "jma"]])
def test_help_and_list_wait_for_no_installation(checkout, words):
    assert _run(checkout, *words).stdout.startswith(f"companion: {' '.join(words)}\n")
    assert _calls(checkout) == []


def test_pins_are_the_lines_below_pip():
    said = subprocess.run(
        ["bash", "-c", "source ./run_all.sh; pins"],
        cwd=fake_checkout.PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = (fake_checkout.PROJECT / "environment.yml").read_text().partition("\n  - pip:")[2]
    expected = [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip().startswith("- ")]
    assert said.stdout.split() == expected
    assert all(pin.count("==") == 1 for pin in expected)
    assert len(expected) > 20


def test_the_scripts_are_sound_and_executable():
    for name in ("run_all.sh", ".ci/run"):
        path = fake_checkout.PROJECT / name
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
        assert os.access(path, os.X_OK)
