"""Which images a table attacks, and at what targets: the same for every attack, whatever the number of images.

Everything random is drawn per image from (seed, index in the data set), so that the target of an image does not depend
on which others are attacked, and the first 50 of 200 images are the 50. Source: JMA, section VI.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from companion import datasets
from flipbook.goals import ClassTarget


@dataclass(frozen=True)
class Selection:
    """Images to attack.

    Attributes
    ----------
    indices : list of n int
        Places in the data set.
    images : Tensor (n, channels, H, W)
    targets : Tensor (n, C) of 0/1, or (n,) of class indices
        The true labels.
    logits : Tensor (n, outputs)
        The model's outputs on these images.
    """

    indices: list[int]
    images: Tensor
    targets: Tensor
    logits: Tensor

    @property
    def predicted(self) -> Tensor:
        """The model's label vectors (n, C) of 0/1: label j is on when z_j > 0."""
        return (self.logits > 0).to(torch.uint8)

    @classmethod
    def of(cls, found: list[tuple[int, Tensor, Tensor, Tensor]]) -> "Selection":
        """Put single images together: index, image, target and logits of each."""
        indices, *tensors = zip(*found, strict=True)
        return cls(list(indices), *(torch.stack(tensor) for tensor in tensors))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, places: list[int]) -> "Selection":
        picked = (self.images[places], self.targets[places], self.logits[places])
        return Selection([self.indices[i] for i in places], *picked)


def select(
    model, dataset, n: int, seed: int = 0, codebook: Tensor | None = None, require_correct: bool = True
) -> Selection:
    """Draw n test images at random, by default among those that the model decides correctly.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    dataset : data set of `companion.datasets`
        Gone through in an order drawn from `seed`.
    n : int
        Images wanted; a smaller n gives the beginning of the same list.
    codebook : Tensor (classes, bits), optional
        For victims with an output code.
    require_correct : bool
        The class or all labels must be right. JMA attacks MS-COCO and NUS-WIDE without this condition.

    Raises
    ------
    ValueError
        When n is not positive or the data set holds fewer such images.
    """
    found = []
    for indices, images, targets, logits in looked_at(model, dataset, n, seed):
        keep = correct(logits, targets, codebook) if require_correct else torch.ones(len(indices), dtype=torch.bool)
        found += [(indices[i], images[i], targets[i], logits[i]) for i in keep.nonzero().flatten().tolist()]
        if len(found) >= n:
            return Selection.of(found[:n])
    what = "correctly decided images" if require_correct else "images"
    raise ValueError(f"images: {n} asked, {dataset.name} ({dataset.split}) has {len(found)} {what}; ask for fewer")


def looked_at(model, dataset, n: int, seed: int = 0) -> Iterator[tuple[list[int], Tensor, Tensor, Tensor]]:
    """Go through a data set in an order drawn from `seed`: indices, images, targets and logits, some 64 at a time."""
    if n < 1:
        raise ValueError(f"images: {n}, must be at least 1")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    for batch in np.array_split(np.random.default_rng(seed).permutation(len(dataset)), max(1, len(dataset) // 64)):
        images, targets = datasets.stack(dataset, batch.tolist())
        with torch.no_grad():
            logits = model(images.to(device)).cpu()
        yield batch.tolist(), images, targets, logits


def correct(logits: Tensor, targets: Tensor, codebook: Tensor | None = None) -> Tensor:
    """Whether the model's decision is the truth, (N,) bool: the class, or every label."""
    if targets.ndim == 1:
        return ClassTarget(targets, codebook).reached(logits)
    return ((logits > 0) == targets.bool()).all(1)


def training_vectors(own: Tensor, indices: list[int], training: Tensor, seed: int = 0) -> Tensor:
    """Target A: the label vector of a random training image that differs from the image's own, (n, C).

    Images are drawn, not distinct vectors, so that frequent vectors are frequent targets.

    Parameters
    ----------
    own : Tensor (n, C) of 0/1
    indices : list of n int
        Places in the data set; they key the draw.
    training : Tensor (N, C) of 0/1
        Label vectors of the training set.
    """
    return torch.stack([_other_vector(v, training, draws(seed, i)) for v, i in _pairs(own, indices)])


def flip_bits(predicted: Tensor, k: int, indices: list[int], seed: int = 0) -> Tensor:
    """Target B: the predicted vector with k labels flipped, chosen uniformly without replacement, (n, C)."""
    labels = predicted.shape[1]
    if not 1 <= k <= labels:
        raise ValueError(f"k: {k} labels to flip, must be in 1..{labels}")
    flipped = predicted.clone()
    for row, index in _pairs(flipped, indices):
        places = draws(seed, index).choice(labels, k, replace=False)
        row[places] = 1 - row[places]
    return flipped


def all_off(predicted: Tensor) -> Tensor:
    """Target C: no label at all, (n, C)."""
    return torch.zeros_like(predicted)


def other_class(own: Tensor, classes: int, indices: list[int], seed: int = 0) -> Tensor:
    """Return a class other than the image's own, uniform over the other classes, (n,) int64.

    Deviation: the program released with the JMA paper flips code bits and decodes, which is not uniform.
    """
    if classes < 2:
        raise ValueError(f"classes: {classes}, must be at least 2 to have another one")
    steps = [int(draws(seed, index).integers(1, classes)) for _, index in _pairs(own, indices)]
    return (own.long() + torch.tensor(steps)) % classes


def other_classes(own: Tensor, classes: int, count: int, indices: list[int], seed: int = 0) -> Tensor:
    """Return `count` different classes other than the image's own, in ascending order, (n, count) int64.

    All of them when count = classes - 1 (SAPF on CIFAR-10), else drawn uniformly (SAPF on ImageNet: 9 of 999).
    """
    if not 1 <= count < classes:
        raise ValueError(f"targets: {count} an image, must be in 1..{classes - 1} with {classes} classes")
    drawn = [draws(seed, index).permutation(classes - 1)[:count] for _, index in _pairs(own, indices)]
    others = torch.from_numpy(np.sort(np.stack(drawn), axis=1))
    return others + (others >= own.long()[:, None]).long()


def pairs(chosen: Selection, targets: Tensor) -> tuple[Selection, ClassTarget]:
    """Return every image once for each of its target classes (n, count), and the goal of these n · count pairs.

    Raises
    ------
    ValueError
        Where a target is the image's own class: there would be nothing to attack.
    """
    if len(same := (targets == chosen.targets[:, None]).nonzero()):
        image = chosen.indices[int(same[0, 0])]
        raise ValueError(f"targets: image {image} is to become its own class, {int(targets[*same[0]])}; choose another")
    places = torch.arange(len(chosen)).repeat_interleave(targets.shape[1]).tolist()
    return chosen[places], ClassTarget(targets.flatten())


def draws(seed: int, index: int) -> np.random.Generator:
    """Return the random generator of an image."""
    return np.random.default_rng([seed, index])


def _pairs(rows: Tensor, indices: list[int]):
    if len(rows) != len(indices):
        raise ValueError(f"indices: {len(indices)} entries, must be one for each of the {len(rows)} images")
    return zip(rows, indices, strict=True)


def _other_vector(own: Tensor, training: Tensor, draws: np.random.Generator) -> Tensor:
    """Draw training images until one differs; after as many draws as there are images, pick among those that differ."""
    for _ in range(len(training)):
        vector = training[int(draws.integers(len(training)))]
        if (vector != own).any():
            return vector.clone()
    different = (training != own).any(1).nonzero().flatten()
    if not len(different):
        raise ValueError("training: every label vector equals the image's own; give more training images")
    return training[int(different[int(draws.integers(len(different)))])].clone()
