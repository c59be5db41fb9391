"""Downloads of the real data sets, by torchvision's downloaders, which check MD5 sums."""

from pathlib import Path

from companion import paths
from companion.datasets.real import FOLDERS, TITLES

COCO = {  # MD5 sums of the official archives
    "zips/train2014.zip": "0da8c0bd3d6becc4dcb32757491aca88",
    "zips/val2014.zip": "a3d79f5ed8d289b7a7554ce06a5782b3",
    "annotations/annotations_trainval2014.zip": "0a379cfc70b0e71301e0f377548639bd",
}
COCO_SERVER = "http://images.cocodataset.org"  # its https certificate is another host's; the sums vouch for the files


def fetch(name: str) -> None:
    """Download one real data set into `companion.paths.data_root()`; what is already there and whole is kept.

    Raises
    ------
    OSError
        The download failed, or the file that arrived has another MD5 sum than the official one.
    """
    root = paths.data_root()
    root.mkdir(parents=True, exist_ok=True)
    try:
        _download(name, root)
    except Exception as error:  # network, checksum, archive: downloaders raise whatever they meet
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OSError(
            f"{TITLES[name]} could not be fetched into {root} ({reason}): check the connection and the space on the "
            "disk, delete a partial file there and start again"
        ) from error


def _download(name: str, root: Path) -> None:
    from torchvision import datasets as official  # takes seconds to import

    if name == "gtsrb":
        for split in ("train", "test"):
            official.GTSRB(root, split=split, download=True)
    elif name.startswith("voc2012"):
        official.VOCDetection(root, year="2012", image_set="trainval", download=True)
    elif name == "coco2014":
        for path, md5 in COCO.items():
            official.utils.download_and_extract_archive(f"{COCO_SERVER}/{path}", root / FOLDERS[name], md5=md5)
    else:
        {"mnist": official.MNIST, "cifar10": official.CIFAR10}[name](root, download=True)
