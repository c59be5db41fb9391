"""Words and options: what is understood, and what is refused in one line with the nearest right one."""

import pytest

from companion.runner import cli
from tests.runner import fake_checkout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["jmaa"], '"jmaa" is neither a paper nor an artefact; did you mean "jma"?'),
        (["jma/table-1"], '"jma/table-1" is neither a paper nor an artefact; did you mean "jma/table-01"?'),
        (["lst"], 'did you mean "list"?'),
        (["tset"], 'did you mean "test"?'),
        (["qqqqq"], "./run_all.sh list shows what there is"),
        (["--proflie", "paper"], 'there is no option "--proflie"; did you mean "--profile"?'),
        (["--profile", "labtop"], '--profile must be one of laptop, paper, not "labtop"; did you mean "laptop"?'),
        (["--device", "gpu"], '--device must be one of auto, cpu, cuda, not "gpu"'),
        (["--jobs", "0"], 'must be a whole number from 1, not "0"'),
        (["-p", "step"], "expected 2 arguments"),
        (["sapf"], "sapf/figure-01 cannot be made yet: comes with the SAPF notebooks"),
        (["jma", "sapf/figure-01"], "sapf/figure-01 cannot be made yet"),
        (["jma", "-p", "stepp", "1"], 'no notebook that you asked for has a parameter "stepp"; did you mean "step"?'),
        (["start", "-p", "images", "1"], 'no notebook that you asked for has a parameter "images"; they have step'),
        (["jma", "-p", "step", "fast"], 'parameter step must be a number, such as 0.5, not "fast"'),
        (["jma", "-p", "images", "2.5"], 'parameter images must be a whole number, such as 4, not "2.5"'),
        (["jma", "-p", "keep", "maybe"], 'parameter keep must be true or false, such as True, not "maybe"'),
        (["jma", "-p", "profile", "paper"], 'parameter "profile" is set by --profile'),
    ],
)
def test_what_is_wrong_is_named_in_one_line(here, capsys, words, line):
    before = sorted(here.rglob("*"))
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.startswith("run_all.sh: ")
    assert said.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_cuda_without_a_gpu_is_refused(here, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cli.main(["jma", "--device", "cuda"]) == 2
    assert "this machine shows no CUDA GPU" in capsys.readouterr().err


def test_help_names_every_word(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("--profile", "--device", "--jobs", "-p NAME VALUE", "--force", "list", "test"))


def test_list_shows_every_artefact_and_how_it_stands(here, capsys):
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "jma/table-01    Table I     not made  One\n" in said
    assert "sapf/figure-01  Figure 1    pending   Later  [comes with the SAPF notebooks]" in said
    assert said.endswith("Profile laptop: 4 not made, 1 pending\n")
    cli.main(["list", "sapf"])
    assert "jma" not in capsys.readouterr().out


def test_words_after_test_go_to_pytest(here, monkeypatch):
    from companion.runner import testing

    called = []
    monkeypatch.setattr(testing, "run", lambda words, jobs: called.append((words, jobs)) or 0)
    assert cli.main(["--jobs", "3", "test", "tests/solvers", "-k", "kkt"]) == 0
    assert called == [(["tests/solvers", "-k", "kkt"], 3)]


def test_test_as_a_value_is_no_command():
    assert cli._split_at_test(["jma", "-p", "split", "test"]) == (["jma", "-p", "split", "test"], False, [])


def test_a_closed_pipe_is_no_traceback(here):
    import subprocess

    command = " ".join(f"'{word}'" for word in fake_checkout.command("list")) + " | true"
    said = subprocess.run(
        ["bash", "-c", command], env=fake_checkout.environment(here), capture_output=True, text=True, check=False
    )
    assert said.stderr == ""
