"""The command line of ./run_all.sh."""

import argparse
import os
import sys

from companion import artefacts
from companion.refusal import Refusal, nearest
from companion.runner import listing

PROFILES = ("laptop", "paper")
DEVICES = ("auto", "cpu", "cuda")
DESCRIPTION = """\
Remake tables and figures of the five papers; only what is stale is redone.

WHAT is nothing (everything there is), a paper, an artefact, or one of
  start       the notebook to read first
  victims     the networks under attack (with --force: trained again)
  list        every artefact and how it stands
  test ...    the tests; words after it go to pytest
"""
EXAMPLES = """\
examples:
  ./run_all.sh                               everything, laptop profile
  ./run_all.sh jma                           one paper
  ./run_all.sh jma/table-06                  one table
  ./run_all.sh jma/table-06 -p images 8      the same with a parameter changed, in a folder of its own
  ./run_all.sh test tests/solvers            some of the tests
  ./run_all.sh --profile paper --device cuda --jobs 20 --snakemake="--executor slurm"
              first: pip install -r requirements-slurm.txt; GPUs are asked for with --device cuda only; where Slurm
              keeps no accounts: --snakemake="--executor slurm --slurm-status-command squeue"

FLIPBOOK_PYTHON=path   use this interpreter and make no environment
DATA_ROOT=folder       real data sets for --profile paper
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise Refusal(message)


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask for; return the exit status: 0 all made, 1 something failed, 2 not understood."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _answer(arguments)
    except Refusal as refusal:
        print(f"run_all.sh: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our lines has seen enough: `./run_all.sh list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _answer(arguments: list[str]) -> int:
    before, test, for_pytest = _split_at_test(arguments)
    asked = _parse(before)
    if test:
        from companion.runner import (
            testing,  # the imports below wait until needed: --help and list are for bare Pythons too
        )

        return testing.run(for_pytest, asked.jobs or _cores())
    rows = artefacts.read()
    words = [word for word in asked.what if word != "list"]
    selected = artefacts.select(rows, words)
    if "list" in asked.what:
        listing.tell(selected, asked.profile)
        return 0
    from companion.runner.make import Request, make

    return make(
        Request(
            rows=selected,
            words=words,
            profile=asked.profile,
            device=asked.device,
            jobs=_jobs(asked),
            tweaks=dict(asked.parameter),
            force=asked.force,
            snakemake=asked.snakemake,
        )
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="run_all.sh",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("what", nargs="*", metavar="WHAT")
    parser.add_argument(
        "--profile", default="laptop", metavar="laptop|paper", help="embedded data (default), or the papers' own"
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda", help="where attacks run (default: a GPU if any)"
    )
    parser.add_argument("--jobs", type=_positive, metavar="N", help="notebooks at a time (default: one per core)")
    parser.add_argument(
        *("-p", "--parameter"),
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="change a parameter",
    )
    parser.add_argument("--force", action="store_true", help="make again what is up to date")
    parser.add_argument("--snakemake", default="", metavar="ARGS", help="more arguments for Snakemake")
    asked, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise Refusal(f'there is no option "{unknown[0]}"{nearest(unknown[0], parser._option_string_actions)}')
    for option, value, known in (("--profile", asked.profile, PROFILES), ("--device", asked.device, DEVICES)):
        if value not in known:
            raise Refusal(f'{option} must be one of {", ".join(known)}, not "{value}"{nearest(value, known)}')
    return asked


def _split_at_test(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    """Split before and after the word `test`, whose followers belong to pytest."""
    for place, word in enumerate(arguments):
        is_value = place >= 2 and arguments[place - 2] in ("-p", "--parameter")
        if word == "test" and not is_value:
            return arguments[:place], True, arguments[place + 1 :]
    return arguments, False, []


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be a whole number from 1, not "{text}"')
    return int(text)


def _jobs(asked: argparse.Namespace) -> int:
    from companion.runner import cluster

    if cluster.executor(asked.snakemake):
        return cluster.jobs(asked.snakemake, asked.jobs)
    return asked.jobs or _cores()


def _cores() -> int:
    from companion.runner import workflow

    return workflow.cores()
