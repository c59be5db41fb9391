"""Real data sets below $DATA_ROOT in their official layouts; CIFAR-10 also as JPEG."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from companion import paths
from companion.datasets import chance, labels, photographs
from companion.datasets.imageset import ImageSet

# torchvision takes seconds to import, so it is imported where a real set is read.
OFFICIAL = {
    "mnist": "MNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "gtsrb": "gtsrb/GTSRB",
    "voc2012": "VOCdevkit/VOC2012",
    "voc2012-224": "VOCdevkit/VOC2012",
    "coco2014": "coco",
}
# CIFAR-10 as a folder of JPEG files {train,test}/{index:05d}_{class}.jpg: as good for practice, its pixels are not the
# official ones, and whatever is made from it says so.
FOLDERS = OFFICIAL | {"cifar10-jpeg": "cifar10-jpeg"}
TITLES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "gtsrb": "GTSRB",
    "cifar10-jpeg": "CIFAR-10 (JPEG)",
    "voc2012": "VOC 2012",
    "voc2012-224": "VOC 2012",
    "coco2014": "MS-COCO 2014",
}
MNIST_BORDER = 2  # zero padded to 32 x 32, as in the JMA authors' code
# Pictures are resized to squares. The JMA paper attacks 64 x 64 signs and states 224 x 224 for MS-COCO; for VOC 2012 it
# says nothing, so Inception-v3 gets its usual 299 x 299, the others what torchvision's ViT asks for.
SIDES = {"gtsrb": 64, "voc2012": 299, "voc2012-224": 224, "coco2014": 224}
# What reading a partial or damaged file can raise: torchvision checks some files by MD5, asserts on others and
# reshapes what it finds.
DAMAGE = (OSError, EOFError, RuntimeError, AssertionError, ValueError, TypeError, KeyError)


def load(name: str, split: str) -> ImageSet:
    """Real data set; name is one of FOLDERS.

    "test" is the official test set. "validation" is a fixed tenth of the official training set (of its tracks for
    GTSRB, class by class, because the frames of a track are nearly alike), "train" is the rest. VOC 2012, whose test
    labels are not public, is split 6 : 2 : 2; of MS-COCO the official validation set is "test".

    Raises
    ------
    FileNotFoundError
        The data set is not below `companion.paths.data_root()`.
    OSError
        It is, and cannot be read.
    """
    root = paths.data_root()
    folder = root / FOLDERS[name]
    if not folder.is_dir() or not any(folder.iterdir()):
        raise FileNotFoundError(
            f"{name} is not in {folder}: {_remedy(name, 'fetch it')}, "
            f"or set DATA_ROOT to the folder that holds {FOLDERS[name]}"
        )
    try:
        names, targets, draw = _READ[name](root, split)
    except DAMAGE as error:
        raise damaged(name, folder, error) from error
    vectors = np.ndim(targets) == 2
    targets = torch.as_tensor(targets, dtype=torch.uint8 if vectors else torch.int64)
    task = "multi-label" if vectors else "single-label"
    return ImageSet(name, split, names, task, targets, draw, None, f"{TITLES[name]}, {split} images")


def damaged(name: str, place: Path, error: Exception) -> OSError:
    """Error of one line for files that are there and cannot be used."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return OSError(
        f"{name} in {place} is incomplete or damaged ({reason}): delete what is damaged and "
        f"{_remedy(name, 'fetch it again')}"
    )


def _remedy(name: str, verb: str) -> str:
    if name in OFFICIAL:
        return f"{verb} with `python -m companion.datasets {name}`"
    return "put its images there as {train,test}/{index:05d}_{class}.jpg"


def _mnist(root: Path, split: str) -> tuple:
    from torchvision.datasets import MNIST

    for stem in ("train", "t10k"):
        for file in (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"):
            if not (root / FOLDERS["mnist"] / file).is_file():
                raise ValueError(f"{file} is missing or still compressed")
    data = MNIST(root, train=split != "test")
    if len(data.data) != len(data.targets):
        raise ValueError(f"{len(data.data)} images but {len(data.targets)} labels")
    rows = rows_of("mnist", split, np.arange(len(data.data)))
    border = (MNIST_BORDER, MNIST_BORDER)
    pictures = np.pad(data.data.numpy()[rows, ..., None], ((0, 0), border, border, (0, 0)))
    return [str(digit) for digit in range(10)], data.targets[rows], pictures.__getitem__


def _cifar10(root: Path, split: str) -> tuple:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    for file, md5 in [*CIFAR10.train_list, *CIFAR10.test_list]:
        path = root / FOLDERS["cifar10"] / file
        if not check_integrity(path, md5):
            raise ValueError(f"{file} has the wrong MD5" if path.is_file() else f"{file} is missing")
    data = CIFAR10(root, train=split != "test")
    rows = rows_of("cifar10", split, np.arange(len(data.data)))
    return list(data.classes), np.array(data.targets)[rows], data.data[rows].__getitem__


def _cifar10_jpeg(root: Path, split: str) -> tuple:
    folder = root / FOLDERS["cifar10-jpeg"] / ("test" if split == "test" else "train")
    files = [file for file in sorted(folder.glob("*.jpg")) if not file.name.startswith(".")]  # macOS leaves "._" files
    strange = [file.name for i, file in enumerate(files) if file.stem.split("_", 1)[0] != f"{i:05d}"]
    if not files or strange:
        found = f"{strange[0]} is out of order" if strange else "no .jpg file is there"
        raise ValueError(f"{folder}: {found}, the numbers must run from 00000 without a gap")
    words = [file.stem.split("_", 1)[1] for file in files]
    names = sorted(set(words))
    rows = rows_of("cifar10", split, np.arange(len(files)))
    classes = np.array([names.index(word) for word in words])
    return names, classes[rows], partial(_jpeg, [files[row] for row in rows])


def _jpeg(files: list[Path], index: int) -> np.ndarray:
    try:
        with Image.open(files[index]) as file:
            return np.asarray(file.convert("RGB"))
    except DAMAGE as error:
        raise damaged("cifar10-jpeg", files[index], error) from error


def _gtsrb(root: Path, split: str) -> tuple:
    folder = root / FOLDERS["gtsrb"] / ("Final_Test/Images" if split == "test" else "Training")
    if not folder.is_dir():
        raise ValueError(f"folder {folder} is missing")
    files, classes = _signs_tested(root, folder) if split == "test" else _signs_to_train_on(folder)
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise ValueError(f"{len(absent)} of {len(files)} images are missing, first {absent[0]}")
    tracks = np.array([f"{file.parent.name}/{file.name.split('_')[0]}" for file in files])  # class/track_frame.ppm
    rows = rows_of("gtsrb", split, tracks, classes)
    return labels.catalogue()["gtsrb"], classes[rows], partial(_picture, "gtsrb", [files[row] for row in rows])


def _signs_tested(root: Path, folder: Path) -> tuple[list[Path], np.ndarray]:
    """Files and classes that GT-final_test.csv lists."""
    path = root / "gtsrb" / "GT-final_test.csv"
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.DictReader(file, delimiter=";", skipinitialspace=True) if row.get("Filename")]
    wrong = next((row for row in rows if not str(row.get("ClassId") or "").strip().isdecimal()), None)
    if not rows or wrong:
        found = f"the class of {wrong['Filename']} is {wrong.get('ClassId')!r}" if wrong else "it lists no image"
        raise ValueError(f"{path.name}: {found}, it must have the columns Filename and ClassId, a number, between ;")
    return [folder / row["Filename"] for row in rows], np.array([int(row["ClassId"]) for row in rows])


def _signs_to_train_on(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Files and classes from the folders that are named after classes; hidden files are not the data set's."""
    places = sorted(place for place in folder.iterdir() if place.is_dir() and place.name.isdecimal())
    files = {place: [f for f in sorted(place.glob("*.ppm")) if not f.name.startswith(".")] for place in places}
    empty = next((place.name for place in places if not files[place]), None)
    if empty or not places:
        raise ValueError(f"Training/{empty} holds no .ppm file" if empty else "Training has no folder of a class")
    listed = [file for place in places for file in files[place]]
    return listed, np.array([int(file.parent.name) for file in listed])


def _voc2012(name: str, root: Path, split: str) -> tuple:
    names, vectors, files = photographs.voc2012(root / FOLDERS[name], split)
    return names, vectors, partial(_picture, name, files)


def _coco2014(root: Path, split: str) -> tuple:
    names, vectors, files = photographs.coco2014(root / FOLDERS["coco2014"], "val" if split == "test" else "train")
    rows = rows_of("coco2014", split, np.arange(len(files)))
    return names, vectors[rows], partial(_picture, "coco2014", [files[row] for row in rows])


def _picture(name: str, files: list[Path], index: int) -> np.ndarray:
    try:
        with Image.open(files[index]) as file:
            image = file.convert("RGB")
    except DAMAGE as error:
        raise damaged(name, files[index], error) from error
    return np.asarray(image.resize((SIDES[name], SIDES[name]), Image.Resampling.BILINEAR))


def rows_of(name: str, split: str, groups: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """Rows of the official training set (or of the test set: all of them) that form a split.

    Rows of one group stay together. Of the groups of each class (of all groups without classes) a tenth goes to
    validation, one at least but never the only one, chosen by random numbers that depend on the name alone.
    """
    if split == "test":
        return np.arange(len(groups))
    classes = np.zeros(len(groups), dtype=np.int64) if classes is None else classes
    chosen = []
    for number in np.unique(classes):
        members = np.unique(groups[classes == number])
        order = np.argsort(chance.uniforms(len(members), 1, name, "validation", number)[:, 0], kind="stable")
        chosen.append(members[order[: (len(members) + 8) // 10]])
    held_back = np.isin(groups, np.concatenate(chosen))
    return np.flatnonzero(held_back if split == "validation" else ~held_back)


_READ = {
    "mnist": _mnist,
    "cifar10": _cifar10,
    "gtsrb": _gtsrb,
    "cifar10-jpeg": _cifar10_jpeg,
    "voc2012": partial(_voc2012, "voc2012"),
    "voc2012-224": partial(_voc2012, "voc2012-224"),
    "coco2014": _coco2014,
}
