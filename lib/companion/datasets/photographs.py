"""Photographs with several labels: what VOC 2012 and MS-COCO 2014 hold, read from their official layouts.

Both functions return the label names, label vectors (N, C) of 0 and 1, and the N files. An image without any label is
left out, as in the papers: VOC 2012 then has 11,530 images and COCO's official validation set 40,137.
"""

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from companion.datasets import chance

VOC_LABELS = 20


def voc2012(folder: Path, split: str) -> tuple[list[str], np.ndarray, list[Path]]:
    """VOC 2012 from VOCdevkit/VOC2012, its training and validation images split 6 : 2 : 2 (JMA, section VI-A).

    The labels of the official test set are not public. A label counts where one object of its class is not marked as
    difficult. Which image goes where depends on its name alone.

    Raises
    ------
    ValueError
        A list of labels, or an image, is missing.
    """
    lists = [
        path for path in sorted((folder / "ImageSets" / "Main").glob("*_trainval.txt")) if not path.name.startswith(".")
    ]  # hidden ones are what macOS leaves beside a file
    if len(lists) != VOC_LABELS:
        raise ValueError(f"ImageSets/Main holds {len(lists)} files *_trainval.txt, must be {VOC_LABELS}, one a label")
    rows = [_marks(file) for file in lists]
    ids = sorted(rows[0])
    short = next((file.name for file, row in zip(lists, rows, strict=True) if sorted(row) != ids), None)
    if short:
        raise ValueError(f"ImageSets/Main/{short} and {lists[0].name} list different images")
    targets = np.array([[row[name] == "1" for row in rows] for name in ids], dtype=np.uint8)
    part = np.array([_part(name) for name in ids])
    keep = np.flatnonzero((part == split) & targets.any(axis=1))
    files = _present(folder / "JPEGImages", [f"{ids[row]}.jpg" for row in keep])
    return [file.name.removesuffix("_trainval.txt") for file in lists], targets[keep], files


def _marks(file: Path) -> dict[str, str]:
    """Mark of every image in a list: -1 absent, 0 only difficult objects, 1 present. Blank lines do not count."""
    lines = [line.split() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    for number, words in enumerate(lines, start=1):
        if words and (len(words) != 2 or words[1] not in ("-1", "0", "1")):
            raise ValueError(f"{file.name}, line {number}, is {' '.join(words)!r}, must be an image and -1, 0 or 1")
    return dict(words for words in lines if words)


def _part(name: str) -> str:
    place = chance.uniforms(1, 1, "voc2012", "split", name).item()
    return "test" if place < 0.2 else "validation" if place < 0.4 else "train"


def coco2014(folder: Path, official: str) -> tuple[list[str], np.ndarray, list[Path]]:
    """MS-COCO from a folder with annotations, train2014 and val2014: one of the official sets, "train" or "val".

    Images come in the order of their numbers, the 80 labels in that of theirs.

    Raises
    ------
    ValueError
        The annotations, or an image, are missing.
    """
    path = folder / "annotations" / f"instances_{official}2014.json"
    if not path.is_file():
        raise ValueError(f"annotations/{path.name} is missing")
    content = _annotations(path)
    labels = {entry["id"]: entry["name"] for entry in sorted(content["categories"], key=lambda entry: entry["id"])}
    columns = {number: column for column, number in enumerate(labels)}
    images = {entry["id"]: entry["file_name"] for entry in content["images"]}
    numbers = sorted({entry["image_id"] for entry in content["annotations"]})
    if not numbers:
        raise ValueError(f"annotations/{path.name} has no annotation of any image")
    for what, known, key in (("images", images, "image_id"), ("categories", columns, "category_id")):
        strange = [entry[key] for entry in content["annotations"] if entry[key] not in known]
        if strange:
            raise ValueError(
                f"{len(strange)} annotations in annotations/{path.name} are of {what} that it does not list, first "
                f"{strange[0]!r}"
            )
    rows = {number: row for row, number in enumerate(numbers)}
    targets = np.zeros((len(numbers), len(labels)), dtype=np.uint8)
    for entry in content["annotations"]:
        targets[rows[entry["image_id"]], columns[entry["category_id"]]] = 1
    return list(labels.values()), targets, _present(folder / f"{official}2014", [images[number] for number in numbers])


def _annotations(path: Path) -> dict:
    """Content of an annotation file, with a bar while it is read, refused where it is not one."""
    with (
        path.open("rb") as file,
        tqdm.wrapattr(file, "read", path.stat().st_size, desc=f"reading {path.name}") as shown,
    ):
        text = shown.read()
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"annotations/{path.name} is cut short or no JSON, {error}") from None
    keys = {"categories": ("id", "name"), "images": ("id", "file_name"), "annotations": ("image_id", "category_id")}
    for part, wanted in keys.items():
        entries = content.get(part) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ValueError(f"annotations/{path.name} has no list {part!r}: it must be an instances file of MS-COCO")
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict) or not all(key in entry for key in wanted):
                raise ValueError(f"annotations/{path.name}: entry {number} of {part!r} lacks {' or '.join(wanted)}")
    return content


def _present(folder: Path, names: list[str]) -> list[Path]:
    """Paths of files, none of which may be missing."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    absent = [name for name in names if name not in there]
    if absent:
        raise ValueError(f"{len(absent)} of {len(names)} images are missing in {folder.name}, first {absent[0]}")
    return [folder / name for name in names]
