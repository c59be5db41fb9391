"""One data set type for drawn and real images alike, and the ways to turn it into tensors."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Dataset):
    """Images in [0, 1] with their targets; the targets are known without drawing or reading an image.

    Attributes
    ----------
    name, split
        As given to `datasets.load`.
    labels
        Names of the labels or classes, in the order of the target.
    task
        "multi-label": targets (len, C) of 0 and 1, uint8. "single-label": targets (len,) of class indices, int64.
    targets
        All targets of the split.
    draw
        Function of an index: the picture as (H, W, channels) uint8.
    stands_for
        The real data set that an embedded one stands in for, or None for a real one.
    caption
        One phrase to put under a figure.
    """

    name: str
    split: str
    labels: list[str]
    task: str
    targets: torch.Tensor
    draw: Callable[[int], np.ndarray]
    stands_for: str | None
    caption: str

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return (
            f"<{self.name}, {self.split}: {len(self)} images, {len(self.labels)} labels, {self.task}; {self.caption}>"
        )

    def pixels(self, index: int) -> torch.Tensor:
        """Image as (channels, H, W) uint8. Raises IndexError outside the split."""
        index = int(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"image {index} of {self.name} {self.split}: it must lie in 0 .. {len(self) - 1}")
        picture = self.draw(index % len(self)).transpose(2, 0, 1)
        return torch.from_numpy(np.array(picture, order="C"))  # a copy: changing it changes nothing else

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pixels(index).float() / 255, self.targets[index]


def stack(ds: ImageSet, indices: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, channels, H, W) float32 in [0, 1] and targets of these indices."""
    images, targets = tensors(ds, indices, progress=False)
    return images.float() / 255, targets


def tensors(
    ds: ImageSet, indices: Iterable[int] | None = None, progress: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, channels, H, W) as uint8 and their targets, to train on; all of the split by default.

    Divided by 255 they are exactly what `ds[i]` returns.
    """
    chosen = list(range(len(ds))) if indices is None else _whole_numbers(ds, indices)
    first = ds.pixels(chosen[0])
    images = torch.empty(len(chosen), *first.shape, dtype=torch.uint8)
    shown = tqdm(chosen, desc=f"drawing {ds.name} {ds.split}", unit="image", disable=not progress)
    for row, index in enumerate(shown):
        images[row] = ds.pixels(index)
    return images, ds.targets[chosen]


def _whole_numbers(ds: ImageSet, indices: Iterable[int]) -> list[int]:
    array = indices.numpy(force=True) if isinstance(indices, torch.Tensor) else np.asarray(list(indices))
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise ValueError(
            f"indices into {ds.name} {ds.split} are {array.dtype} of shape {array.shape}: give a list of at least one "
            f"whole number in 0 .. {len(ds) - 1} (for a mask, mask.nonzero())"
        )
    return array.tolist()
