"""The runner as a reader meets it: a run with a failure, going on after it, tweaks, a kill."""

import json
import os
import signal
import subprocess
import time

import nbformat
import psutil

from companion.runner import lock
from tests.runner import fake_checkout


def test_a_failing_notebook_does_not_stop_the_others(first_run):
    root, said = first_run
    assert said.returncode == 1
    assert "Artefacts: 3 made, 0 reused, 1 failed, 1 pending" in said.stdout
    assert "jma/table-03: RuntimeError: table-03 is broken  (see build/laptop/jma/table-03.ipynb)" in said.stdout
    executed = nbformat.read(root / "build" / "laptop" / "jma" / "table-03.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", []))
    assert not (root / "figures" / "laptop" / "jma" / "table-03.ipynb").exists()


def test_the_run_says_what_holds_and_where_to_look(first_run):
    root, said = first_run
    assert "Claims: 2 claims hold, 1 does not" in said.stdout
    assert "does not hold  jma/table-02: c is less than d (4 > 3)" in said.stdout
    assert "Look at figures/index.html" in said.stdout
    assert "table-02.csv" in (root / "figures" / "index.html").read_text()
    lines = [line for line in said.stdout.splitlines() if line.startswith("[")]
    assert [line.partition("]")[0] for line in lines] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert "Error in rule" not in said.stdout + said.stderr  # Snakemake's own words stay in its log
    assert "Error in rule" in (root / "build" / "snakemake.log").read_text()


def test_the_notebook_with_default_parameters_goes_back_with_its_outputs(first_run):
    root, _ = first_run
    source = nbformat.read(root / "notebooks" / "jma" / "tables.ipynb", as_version=4)
    fresh = fake_checkout.notebook(fake_checkout.WORK, fake_checkout.SAVE)
    assert [cell.source for cell in source.cells] == [cell.source for cell in fresh.cells]
    assert [cell.id for cell in source.cells] == [cell.id for cell in fresh.cells]
    assert [output.text for output in source.cells[2].outputs] == [
        "data is the folder; step 0.5, 4 images, cpu\n"  # table-01's, without stderr and without the folder's name
    ]
    text = (root / "figures" / "laptop" / "jma" / "table-02.ipynb").read_text()
    assert "papermill" not in text
    assert str(root) not in text
    assert "6 images" in text


def test_only_unfinished_work_is_done_again(made):
    assert "[last run failed: RuntimeError: table-03 is broken]" in fake_checkout.statuses(made)["jma/table-03"]
    (made / "break-table-03").unlink()
    before = fake_checkout.made(made, "jma/table-01")
    said = fake_checkout.call(made)
    assert said.returncode == 0
    assert "Artefacts: 1 made, 3 reused, 0 failed, 1 pending" in said.stdout
    assert fake_checkout.made(made, "jma/table-01") == before
    again = fake_checkout.call(made, "jma", "start")
    assert again.returncode == 0
    assert "Artefacts: 0 made, 4 reused, 0 failed, 0 pending" in again.stdout


def test_a_tweak_goes_to_a_folder_of_its_own(made):
    default = (made / "figures" / "laptop" / "jma" / "table-01.csv").read_text()
    notebook = (made / "notebooks" / "jma" / "tables.ipynb").read_bytes()
    words = ("-p", "step", "0.25", "-p", "keep", "false", "-p", "attacks", "['mla']")
    said = fake_checkout.call(made, "jma/table-01", "start", *words[:3], "--jobs", "2", *words[3:])
    assert said.returncode == 0, said.stdout + said.stderr
    tweaked = {path.name: path for path in (made / "figures").glob("laptop+*")}
    folder = next(name for name in tweaked if "keep" in name)
    assert folder.startswith("laptop+step=0.25,keep=false,attacks=")
    assert (tweaked[folder] / "jma" / "table-01.csv").read_text().endswith("0.25,4,False,['mla']\n")
    assert (tweaked["laptop+step=0.25"] / "start.ipynb").is_file()  # it has `step` only
    assert (made / "figures" / "laptop" / "jma" / "table-01.csv").read_text() == default
    assert (made / "notebooks" / "jma" / "tables.ipynb").read_bytes() == notebook
    assert fake_checkout.statuses(made)["jma/table-01"].split()[3] == "made"


def _is_over(number):
    """Whether a process works no more, soon: its number may stay until whoever adopted it has asked how it ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    (root / "hold-table-03").touch()
    words = fake_checkout.command("jma", "--jobs", "2")
    run = subprocess.Popen(
        words, env=fake_checkout.environment(root), start_new_session=True, stdout=subprocess.DEVNULL
    )
    folder = root / "build" / "laptop" / "jma"
    others = [folder / f"table-0{number}.made.json" for number in (1, 2)]
    deadline = time.monotonic() + 120
    while not (all(path.exists() for path in others) and (folder / "table-03.state.json").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (folder / "table-03.made.json").exists()
    before = [path.read_bytes() for path in others]
    (root / "hold-table-03").unlink()
    said = fake_checkout.call(root, "jma")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "Artefacts: 1 made, 2 reused, 0 failed, 0 pending" in said.stdout
    assert [path.read_bytes() for path in others] == before


def test_a_stopped_run_leaves_nothing_at_work(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    (root / "hold-table-03").touch()
    words = fake_checkout.command("jma/table-03")
    run = subprocess.Popen(words, env=fake_checkout.environment(root), stdout=subprocess.PIPE, text=True)
    state = root / "build" / "laptop" / "jma" / "table-03.state.json"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the same command goes on from here" in said
    assert _is_over(json.loads(state.read_text())["process"])


def test_two_runs_in_one_folder_are_refused(here):
    with lock.only_run(here / "build" / "lock"):
        said = fake_checkout.call(here, "jma")
    assert said.returncode == 2
    assert said.stderr.startswith("run_all.sh: another run is at work in this folder")
    assert len(said.stderr.splitlines()) == 1


def test_victims_are_trained_again_before_what_attacks_them(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    with (root / "notebooks" / "artefacts.csv").open("a") as file:
        file.write("victims,guide,Victims,The networks,victims.ipynb,,1,0,\n")
    train = "from companion import paths\nif retrain:\n    (paths.VICTIMS / 'net.safetensors').write_text('trained')"
    nbformat.write(
        fake_checkout.notebook(train, parameters="retrain = False  # or True"), root / "notebooks" / "victims.ipynb"
    )
    said = fake_checkout.call(root, "victims", "jma/table-01", "--force")
    assert said.returncode == 0, said.stdout + said.stderr
    assert (root / "data" / "victims" / "net.safetensors").read_text() == "trained"
    lines = fake_checkout.statuses(root)
    assert all("  made  " in lines[name] for name in ("victims", "jma/table-01"))


def test_what_was_changed_by_hand_is_made_again(made):
    path = made / "figures" / "laptop" / "jma" / "table-01.csv"
    before = path.read_bytes()
    path.write_text("step,images\n0.1,1\n")
    assert "[figures/laptop/jma/table-01.csv changed since it was made]" in fake_checkout.statuses(made)["jma/table-01"]
    said = fake_checkout.call(made, "jma/table-01", "jma/table-02")
    assert "Artefacts: 1 made, 1 reused, 0 failed" in said.stdout
    assert path.read_bytes() == before


def test_a_notebook_that_another_program_runs_publishes_nothing(made):
    before = {path: path.read_bytes() for path in (made / "figures").rglob("*") if path.is_file()}
    source = nbformat.read(made / "notebooks" / "jma" / "tables.ipynb", as_version=4)
    lines = "\n".join(cell.source for cell in source.cells if cell.cell_type == "code")
    script = lines.replace("step = 0.5", "step = 0.1")
    command = [fake_checkout.command()[0], "-c", script]
    subprocess.run(command, cwd=made, env=fake_checkout.environment(made), check=True, stderr=subprocess.DEVNULL)
    assert {path: path.read_bytes() for path in before} == before
    assert "0.1," in (made / "figures" / "by-hand" / "laptop" / "jma" / "table-01.csv").read_text()
    assert fake_checkout.statuses(made)["jma/table-01"].split()[3] == "made"


def _held(root, *words):
    """Start a run whose one notebook waits; return it with the number of the job's process."""
    (root / "hold-table-03").touch()
    run = subprocess.Popen(
        fake_checkout.command("jma/table-03", *words),
        env=fake_checkout.environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    state = root / "build" / "laptop" / "jma" / "table-03.state.json"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return run, json.loads(state.read_text())["process"]


def test_a_killed_snakemake_is_told_and_leaves_nothing_at_work(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    run, job = _held(root)
    (snakemake,) = psutil.Process(run.pid).children()
    snakemake.kill()
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "failed  jma/table-03: Snakemake was killed, and its jobs were ended with it" in said
    assert _is_over(job)
    (root / "hold-table-03").unlink()
    assert "1 made" in fake_checkout.call(root, "jma/table-03").stdout


def test_a_second_signal_does_not_end_the_stop_half_way(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "fake")
    run, job = _held(root)
    for _ in range(3):
        run.send_signal(signal.SIGINT)
        time.sleep(0.1)
    said, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Stopped. What is made stays" in said
    assert "Traceback" not in errors
    assert "Already stopping" in errors
    assert _is_over(job)


def test_a_folder_with_braces_in_its_name(tmp_path):
    root = fake_checkout.lay_out(tmp_path / "a {z} {0}")
    said = fake_checkout.call(root, "jma/table-01")
    assert "1 made" in said.stdout, said.stdout + said.stderr
