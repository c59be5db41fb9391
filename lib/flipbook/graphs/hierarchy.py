"""Open Images' official hierarchy of boxable classes, as a graph with one parent a class."""

import csv
import json
from pathlib import Path

HIERARCHY = "bbox_labels_600_hierarchy.json"
DESCRIPTIONS = "class-descriptions-boxable.csv"


def read(folder: Path) -> dict[str, str | None]:
    """Parent of every class by name, in the order of the official list of classes.

    Parameters
    ----------
    folder : Path
        Holds the two official files HIERARCHY and DESCRIPTIONS.

    Returns
    -------
    dict of str to str or None
        Top-level categories have None: the "Entity" above all of them says nothing.

    Raises
    ------
    FileNotFoundError
        A file is missing.
    ValueError
        A class of the hierarchy has no description.

    Notes
    -----
    Deviation: 45 classes stand under several parents. The authors draw one at random, unseeded; here it is the first
    in the file, so that the graph is always the same.
    """
    for file in (HIERARCHY, DESCRIPTIONS):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{file} is not in {folder}: download it from the Open Images site (V7, boxes)")
    with (folder / DESCRIPTIONS).open(encoding="utf-8", newline="") as file:
        names = dict(csv.reader(file))
    top = json.loads((folder / HIERARCHY).read_text(encoding="utf-8"))
    above: dict[str, str | None] = {}
    for category in top["Subcategory"]:
        _walk(category, None, above)
    unnamed = [code for code in above if code not in names]
    if unnamed:
        raise ValueError(f"{DESCRIPTIONS} has no name for class {unnamed[0]!r}: take it from the same release")
    return {name: names.get(above[code]) for code, name in names.items() if code in above}


def _walk(node: dict, parent: str | None, above: dict[str, str | None]) -> None:
    """Go through "is a" links, depth first; "has a part" links are no hierarchy."""
    above.setdefault(node["LabelName"], parent)
    for child in node.get("Subcategory", ()):
        _walk(child, node["LabelName"], above)
