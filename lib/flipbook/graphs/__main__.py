"""Command line `python -m flipbook.graphs voc FOLDER`: build a shipped graph again from its source."""

import argparse
import json
import sys
from pathlib import Path

from flipbook.graphs import hierarchy, loading, wordnet
from flipbook.graphs.loading import shipped
from flipbook.storage.files import write_whole

BUILDERS = {
    "voc": lambda content, folder: wordnet.build(content["synsets"], folder),
    "open-images": lambda content, folder: hierarchy.read(folder),
}


def main(arguments: list[str] | None = None) -> int:
    """Build a graph and write it to lib/flipbook/graphs; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m flipbook.graphs", description="Build a shipped graph again from its source."
    )
    parser.add_argument("name", choices=list(BUILDERS))
    parser.add_argument("folder", type=Path, help="WordNet 3.0's database files, or Open Images' two official files")
    asked = parser.parse_args(arguments)
    content = shipped(asked.name)
    try:
        parents = BUILDERS[asked.name](content, asked.folder)
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    same = list(content["parents"].items()) == list(parents.items())
    text = json.dumps(content | {"parents": parents}, indent=1, ensure_ascii=False) + "\n"
    write_whole({loading.FOLDER / f"{asked.name}.json": text})
    print(f"{asked.name}: {len(parents)} labels, {'the same as before' if same else 'changed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
