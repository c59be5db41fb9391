"""Tiny data sets in the official layouts, with known pixels, and where real data may lie."""

import gzip
import hashlib
import json
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from companion import paths

SHARED = paths.ROOT.parent / "shared" / "datasets"
VOC_LABELS = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def idx(array: np.ndarray) -> bytes:
    """Array of uint8 as an idx file: magic number, lengths, data."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_files(train: int = 40, test: int = 12) -> dict[str, bytes]:
    """File names and contents; image i is of the constant grey i, and its class is i modulo 10."""
    files = {}
    for stem, n in (("train", train), ("t10k", test)):
        grey = np.arange(n, dtype=np.uint8)
        files[f"{stem}-images-idx3-ubyte"] = idx(np.broadcast_to(grey[:, None, None], (n, 28, 28)))
        files[f"{stem}-labels-idx1-ubyte"] = idx(grey % 10)
    return files


def mnist(root: Path, compressed: bool = False) -> Path:
    """Folder MNIST/raw below root, ready to read or as the downloads come."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in mnist_files().items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return folder


def md5(path: Path) -> str:
    """MD5 sum of a file."""
    return hashlib.md5(path.read_bytes()).hexdigest()


def accept_cifar10(monkeypatch, folder: Path) -> None:
    """Make torchvision expect the MD5 sums of the files in this folder."""
    from torchvision.datasets import CIFAR10

    for which in ("train_list", "test_list"):
        sums = [[file, md5(folder / file)] for file, _ in getattr(CIFAR10, which)]
        monkeypatch.setattr(CIFAR10, which, sums)
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(folder / "batches.meta")})


def cifar10(root: Path) -> Path:
    """Folder cifar-10-batches-py below root, 8 rows a batch; image i has the planes i, i + 50 and i + 100."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, file in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        first = 8 * (number % 5)
        planes = [[i + 50 * channel] * 1024 for i in range(first, first + 8) for channel in range(3)]
        rows = np.array(planes, dtype=np.uint8).reshape(8, 3072)
        entry = {"data": rows, "labels": [i % 10 for i in range(first, first + 8)]}
        (folder / file).write_bytes(pickle.dumps(entry))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": CIFAR_CLASSES}))
    return folder


def cifar10_jpeg(root: Path, train: int = 40, test: int = 20) -> Path:
    """Folder cifar10-jpeg below root; image i has the constant colour (5 i, 100, 200) and class i modulo 10."""
    folder = root / "cifar10-jpeg"
    for part, n in (("train", train), ("test", test)):
        (folder / part).mkdir(parents=True)
        for i in range(n):
            name = f"{i:05d}_{CIFAR_CLASSES[i % 10]}.jpg"
            Image.new("RGB", (32, 32), (5 * i, 100, 200)).save(folder / part / name, quality=95)
    return folder


def gtsrb(root: Path, classes=(0, 2, 42), tracks: int = 12, frames: int = 3) -> Path:
    """Folder gtsrb below root; a training image is of the constant colour (class, track, frame)."""
    folder = root / "gtsrb"
    for number in classes:
        place = folder / "GTSRB" / "Training" / f"{number:05d}"
        place.mkdir(parents=True)
        for track in range(tracks):
            for frame in range(frames):
                Image.new("RGB", (30 + track, 40), (number, track, frame)).save(place / f"{track:05d}_{frame:05d}.ppm")
    place = folder / "GTSRB" / "Final_Test" / "Images"
    place.mkdir(parents=True)
    lines = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for index, number in enumerate((7, 3, 42, 0)):
        Image.new("RGB", (50, 45), (100 + index, 0, number)).save(place / f"{index:05d}.ppm")
        lines.append(f"{index:05d}.ppm;50;45;5;5;44;40;{number}")
    (folder / "GT-final_test.csv").write_text("\n".join(lines) + "\n")
    return folder


def voc2012(root: Path, images: int = 50) -> Path:
    """Folder VOCdevkit/VOC2012 below root; image i is (5 (i % 50), 100, 200) and shows labels i and i + 1 modulo 20.

    Every tenth image shows none but difficult objects. The lists are in the official form, two blanks before a 1.
    """
    folder = root / "VOCdevkit" / "VOC2012"
    lists, pictures = folder / "ImageSets" / "Main", folder / "JPEGImages"
    for place in (lists, pictures):
        place.mkdir(parents=True)
    names = [f"2008_{i:06d}" for i in range(images)]
    for i, name in enumerate(names):
        Image.new("RGB", (40, 30), (5 * (i % 50), 100, 200)).save(pictures / f"{name}.jpg", quality=95)
    for column, label in enumerate(VOC_LABELS):
        shown = [column in (i % 20, (i + 1) % 20) for i in range(images)]
        marks = [-1 if not on else 0 if i % 10 == 9 else 1 for i, on in enumerate(shown)]
        lines = [f"{name} {mark:2d}\n" for name, mark in zip(names, marks, strict=True)]
        (lists / f"{label}_trainval.txt").write_text("".join(lines))
    return folder


def coco2014(root: Path, train: int = 20, val: int = 6) -> Path:
    """Folder coco below root; image i is (5 i, 100, 200) and shows categories 1 and 3, image 2 none.

    Categories are numbered with gaps, as the official ones are; files are listed in another order than their numbers.
    """
    folder = root / "coco"
    (folder / "annotations").mkdir(parents=True)
    categories = [{"id": number, "name": name} for number, name in ((3, "car"), (1, "person"), (90, "toothbrush"))]
    for part, n in (("train", train), ("val", val)):
        (folder / f"{part}2014").mkdir()
        images = [{"id": 10 * i, "file_name": f"COCO_{part}2014_{10 * i:012d}.jpg"} for i in reversed(range(n))]
        for image in images:
            i = image["id"] // 10
            Image.new("RGB", (60, 40), (5 * i, 100, 200)).save(folder / f"{part}2014" / image["file_name"], quality=95)
        shown = [(i, number) for i in range(n) if i != 2 for number in (1, 3, 3)]
        annotations = [{"image_id": 10 * i, "category_id": number} for i, number in shown]
        content = {"categories": categories, "images": images, "annotations": annotations}
        (folder / "annotations" / f"instances_{part}2014.json").write_text(json.dumps(content))
    return folder
