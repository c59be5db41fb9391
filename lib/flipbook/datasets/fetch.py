"""Downloads of the real data sets, by torchvision's own downloaders, which check MD5 sums."""

from pathlib import Path

from flipbook import paths
from flipbook.datasets.real import TITLES


def fetch(name: str) -> None:
    """Download one real data set into `flipbook.paths.data_root()`; what is already there and whole is kept.

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
    else:
        {"mnist": official.MNIST, "cifar10": official.CIFAR10}[name](root, download=True)
