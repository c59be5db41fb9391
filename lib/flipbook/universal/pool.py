"""A victim together with images and what it says of them clean, computed once."""

import difflib
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from flipbook.core import per_image_random
from flipbook.core.validation import check_counts, check_images, check_inputs
from flipbook.goals import LabelVector

TargetSet = tuple[int, ...]


class Tally:
    """The model, counting images: one forward for each image, one backward whenever a gradient reaches its logits."""

    def __init__(self, model):
        self.model, self.forwards, self.backwards = model, 0, 0

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (n, C) of images."""
        logits = self.model(x)
        self.forwards += len(x)
        if logits.requires_grad:
            logits.register_hook(self._saw)
        return logits

    def _saw(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


class Pool:
    """Images, the victim, and its clean logits, which decide what an image contains.

    Parameters
    ----------
    model : callable
        Images (n, channels, H, W) to logits (n, C), in eval mode; a label is present where its logit is above 0.
    images : Tensor (N, channels, H, W)
        In [0, 1]. They may lie elsewhere than the model: batches are moved to it.
    names : sequence of C str, optional
        Of the labels; "0", "1", ... by default.
    logits : Tensor (N, C), optional
        The clean logits, where they are known already.
    chunk : int
        Images a pass while the clean logits are computed.

    Attributes
    ----------
    logits : Tensor (N, C)
        Clean logits, on the model's device.
    present : Tensor (N, C) of bool
        The labels predicted: the reference of training and of every measure. The ground truth is never used.
    net : Tally
        The model with its count of forward and backward passes, clean ones included.

    Raises
    ------
    ValueError
        For images and models that attacks refuse, and logits or names that do not fit them.
    """

    def __init__(
        self,
        model,
        images: Tensor,
        names: Sequence[str] | None = None,
        logits: Tensor | None = None,
        chunk: int = 256,
    ):
        check_images(images)
        check_counts(chunk=chunk)
        if not len(images):
            raise ValueError("images hold no image: give at least one")
        self.images, self.net = images, Tally(model)
        tensors = [*model.parameters(), *model.buffers()] if isinstance(model, torch.nn.Module) else []
        self.device = tensors[0].device if tensors else images.device
        one = images[:1].to(self.device)
        first = _logits(model, one)
        check_inputs(model, one, LabelVector(torch.zeros_like(first, dtype=torch.bool)))
        if logits is None:
            with torch.no_grad():
                logits = torch.cat([self.net(part.to(self.device)) for part in images.split(chunk)])
        elif len(logits) != len(images) or not _close(logits[:1].to(first), first):
            raise ValueError(
                f"logits {tuple(logits.shape)} are not what the model says of these {len(images)} images: leave them "
                "out, and they are computed"
            )
        self.logits = logits.to(self.device)
        self.present = self.logits > 0
        self.names = tuple(map(str, range(self.logits.shape[1]) if names is None else names))
        if len(self.names) != self.logits.shape[1] or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"names hold {len(set(self.names))} different labels, the model gives {self.logits.shape[1]} logits: "
                "give one name a logit, each its own"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> int:
        """Number C of labels."""
        return self.logits.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, H, W)."""
        return tuple(self.images.shape[1:])

    @cached_property
    def keys(self) -> Tensor:
        """One number an image, a function of its content alone, (N,) of int64."""
        return torch.cat([per_image_random.keys(part) for part in self.images.split(256)]).to(self.device)

    def take(self, index: Tensor) -> Tensor:
        """Images of these indices, on the model's device."""
        return self.images.index_select(0, index.to(self.images.device)).to(self.device)

    def containing(self, omega: TargetSet) -> Tensor:
        """Indices of the images predicted to contain every label of a target set."""
        return self.present[:, list(omega)].all(dim=1).nonzero().flatten()

    def mask(self, omegas: Sequence[TargetSet]) -> Tensor:
        """Target sets as (n, C) of bool."""
        mask = torch.zeros(len(omegas), self.labels, dtype=torch.bool)
        for row, omega in enumerate(omegas):
            mask[row, list(omega)] = True
        return mask.to(self.device)


def target_set(omega, names: Sequence[str]) -> TargetSet:
    """Read a target set as sorted label numbers.

    Parameters
    ----------
    omega : int, str, iterable of them, or Tensor (C,) of bool
        Labels by number or by name, or a mask over all C. A mask must be of bool: among whole numbers nothing tells
        whether 0 and 1 are labels.
    names : sequence of C str
        Of all labels.

    Raises
    ------
    ValueError
        For labels that do not exist or come twice, for none, and for tensors that may be a mask or label numbers.
    """
    if isinstance(omega, Tensor) or (isinstance(omega, np.ndarray) and omega.dtype.kind in "biufc"):
        omega = _of_tensor(torch.as_tensor(omega), len(names))
    single = isinstance(omega, str) or not isinstance(omega, Iterable)
    labels = [_label(label, names) for label in ([omega] if single else omega)]
    found = tuple(sorted(set(labels)))
    if not found:
        raise ValueError("target set is empty: name at least one label to turn off")
    if len(found) < len(labels):
        twice = next(label for label in found if labels.count(label) > 1)
        raise ValueError(f"target set names {names[twice]!r} twice: name each label once, or give a mask of bool")
    return found


def _of_tensor(omega: Tensor, labels: int) -> int | list[int]:
    """Labels that a tensor means: a mask of bool, or label numbers."""
    shape = tuple(omega.shape)
    if omega.dtype == torch.bool:
        if shape != (labels,):
            raise ValueError(f"target set is a mask of shape {shape}: it must be ({labels},)")
        return omega.nonzero().flatten().tolist()
    if omega.is_floating_point() or omega.is_complex() or omega.ndim > 1:
        raise ValueError(
            f"target set is a tensor of {omega.dtype} and shape {shape}: give label numbers, or a mask of bool, "
            f"({labels},)"
        )
    if shape == (labels,):
        raise ValueError(
            f"target set is a tensor of {labels} whole numbers, as many as there are labels: give a mask as "
            "mask.bool(), label numbers as a list"
        )
    return omega.tolist()


def target_sets(omegas: Iterable, names: Sequence[str]) -> tuple[TargetSet, ...]:
    """Read many target sets; the same one twice is refused.

    Parameters
    ----------
    omegas : iterable of n target sets
        Each as for `target_set`.
    names : sequence of C str
        Of all labels.

    Returns
    -------
    tuple of n target sets
        In the given order; each holds its label numbers in ascending order.

    Raises
    ------
    ValueError
        For what is no list of target sets, for an empty one, for a set that `target_set` refuses and for one that is
        given twice.
    """
    if isinstance(omegas, str) or not isinstance(omegas, Iterable):
        raise ValueError(f"target sets are {omegas!r}: give a list of them")
    found = tuple(target_set(omega, names) for omega in omegas)
    if not found:
        raise ValueError("no target set is given: name at least one")
    if len(set(found)) < len(found):
        twice = next(omega for i, omega in enumerate(found) if omega in found[:i])
        raise ValueError(f"target set {{{named(twice, names)}}} is given twice: leave one out")
    return found


def check_same_labels(what, names: Sequence[str], others: Sequence[str], whose: str = "the pool's") -> None:
    """Refuse what has other labels, or the same ones in another order: their numbers would mean something else.

    Raises
    ------
    ValueError
        With the first difference.
    """
    if tuple(names) == tuple(others):
        return
    if len(names) != len(others):
        difference = f"{len(names)} against {len(others)}; use a victim of the same labels"
    else:
        place = next(i for i, (a, b) in enumerate(zip(names, others, strict=True)) if a != b)
        difference = f"label {place} is {names[place]!r} there and {others[place]!r} here; put them in the same order"
    raise ValueError(f"{what} is for other labels than {whose}: {difference}")


def identity(omega: TargetSet) -> int:
    """Return a number of 32 bits that stands for a target set in random draws, whatever other sets are at work."""
    return zlib.crc32(repr(omega).encode())


def named(omega: TargetSet, names: Sequence[str]) -> str:
    """Target set for a reader: names with commas."""
    return ", ".join(names[label] for label in omega)


def _label(label, names: Sequence[str]) -> int:
    if isinstance(label, str):
        if label not in names:
            near = difflib.get_close_matches(label, names, 1, 0)[0]
            raise ValueError(f"no label is called {label!r}: did you mean {near!r}?")
        return names.index(label)
    if isinstance(label, Tensor) and label.ndim == 0:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, Integral):
        raise ValueError(f"label {label!r} is no label: give its number, 0 .. {len(names) - 1}, or its name")
    if not 0 <= label < len(names):
        raise ValueError(f"label {label} does not exist: labels are 0 .. {len(names) - 1}")
    return int(label)


def _close(logits: Tensor, others: Tensor) -> bool:
    """Whether they are the same up to what batches and devices round in another way."""
    return logits.shape == others.shape and torch.allclose(logits, others, rtol=1e-3, atol=1e-3)


def _logits(model, image: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(image)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError("model must give logits of shape (n, C)")
    return logits
