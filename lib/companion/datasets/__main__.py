"""Command line `python -m companion.datasets mnist voc2012`: fetch real data sets into $DATA_ROOT."""

import argparse
import sys

from companion import paths
from companion.datasets import load
from companion.datasets.fetch import fetch
from companion.datasets.real import OFFICIAL


def main(arguments: list[str] | None = None) -> int:
    """Fetch the named sets, with a progress bar each; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.datasets",
        description=f"Fetch real data sets into {paths.data_root()} (set DATA_ROOT to choose another folder).",
    )
    parser.add_argument("names", nargs="+", choices=list(OFFICIAL), metavar="name", help=", ".join(OFFICIAL))
    for name in parser.parse_args(arguments).names:
        print(f"{name}: fetching into {paths.data_root()}", flush=True)
        try:
            fetch(name)
            sizes = ", ".join(f"{len(load(name, split))} {split}" for split in ("train", "validation", "test"))
        except OSError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{name}: ready, {sizes} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
