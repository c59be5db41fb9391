"""The budget that all methods share, and the order in which every vector sees its images."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from flipbook.core import per_image_random
from flipbook.core.validation import check_at_least, check_choice, check_counts, check_positive
from flipbook.universal.loss import FORMS
from flipbook.universal.pool import Pool, TargetSet, identity, named

DECAYS = (1, 5, 10, 20)  # epochs at whose start the released code divides the step by 10
COINS, SCORES, VALUES, ORDER = range(4)  # what random numbers are drawn for


@dataclass(frozen=True)
class Training:
    """How long and on what a vector is trained: the same for every method, so that their budgets are equal.

    Attributes
    ----------
    epsilon : float
        ε, radius of the ball in units of [0, 1] images.
    step : float, optional
        ξ of the sign steps, ε / 25 by default. 25 steps are needed to reach ε.
    kappa : float
        κ, weight of the labels that must stay.
    form : str
        Of the loss, "code" or "paper"; see `loss.terms`.
    epochs : int
        Times that each vector sees `images` images.
    images : int, optional
        Images an epoch for each vector. A vector whose set has fewer sees them again, in another order. By default
        as many as the smallest set has.
    batch : int
        Images a step for each vector.
    decay : bool
        Divide the step by 10 at epochs 1, 5, 10 and 20, as the released code does. Only for some 30 epochs.
    seed : int
        Of the order of the images, and of everything else that is drawn.
    chunk : int
        Images a pass: bounds the memory. Results agree up to rounding for any.
    progress : bool
        Whether to show a bar.
    """

    epsilon: float = 0.05
    step: float | None = None
    kappa: float = 20.0
    form: str = "code"
    epochs: int = 30
    images: int | None = None
    batch: int = 40
    decay: bool = False
    seed: int = 0
    chunk: int = 64
    progress: bool = True

    def __post_init__(self):
        check_positive(epsilon=self.epsilon, step=1 if self.step is None else self.step)
        check_counts(epochs=self.epochs, batch=self.batch, chunk=self.chunk)
        check_counts(images=1 if self.images is None else self.images)
        check_choice("form", self.form, FORMS)
        check_at_least(0, kappa=self.kappa)

    @property
    def xi(self) -> float:
        """ξ."""
        return self.epsilon / 25 if self.step is None else self.step

    def factor(self, epoch: int) -> float:
        """What steps of an epoch are multiplied by."""
        return 0.1 ** sum(epoch >= start for start in DECAYS) if self.decay else 1.0


@dataclass
class Rows:
    """The images of one step: each row is an image that trains one vector."""

    index: Tensor  # (n,) into the pool
    group: Tensor  # (n,) which vector, counted from the first one of this step; ascending
    stream: Tensor  # (n,) names this visit of this image by this vector in random draws
    keys: Tensor  # (n,) of the images

    def split(self, size: int) -> Iterator[slice]:
        """Consecutive slices of at most so many rows."""
        return (slice(start, start + size) for start in range(0, len(self.index), size))

    def draw(self, count: int, purpose: int) -> Tensor:
        """Uniform numbers (n, count) of float64 in [0, 1) that depend on image, vector and visit only."""
        return per_image_random.uniform(self.keys, count, self.stream * 4 + purpose)


class Visits:
    """Which images each vector sees, step by step: a permutation of its set after the other.

    A permutation is a function of the target set, the images in it and the seed, so that neither the size of the batch
    nor other vectors change it.

    Raises
    ------
    ValueError
        When no image is predicted to contain a target set.
    """

    def __init__(self, pool: Pool, omegas: Sequence[TargetSet], training: Training):
        members = [pool.containing(omega) for omega in omegas]
        for omega, found in zip(omegas, members, strict=True):
            if not len(found):
                raise ValueError(
                    f"no image of the pool is predicted to contain {{{named(omega, pool.names)}}}: "
                    "leave this set out or give more images"
                )
        self.training, self.omegas, self.groups = training, tuple(omegas), len(omegas)
        self.images = min(map(len, members)) if training.images is None else training.images
        self.keys = pool.keys ^ per_image_random.keys(torch.zeros(1, 1, device=pool.device), training.seed)
        plans = [self._plan(omega, found) for omega, found in zip(omegas, members, strict=True)]
        self._index, self._stream = (torch.stack(part) for part in zip(*plans, strict=True))

    def _plan(self, omega: TargetSet, members: Tensor) -> tuple[Tensor, Tensor]:
        total = self.training.epochs * self.images
        times = torch.arange(-(-total // len(members)), device=members.device)
        stream = (identity(omega) << 24) + times.repeat_interleave(len(members))
        draws = per_image_random.uniform(self.keys[members].repeat(len(times)), 1, stream * 4 + ORDER)
        order = draws.view(len(times), len(members)).argsort(dim=1, stable=True)
        return members[order].flatten()[:total], stream[:total]

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-self.images // self.training.batch)

    def rows(self, epoch: int, step: int, groups: slice = slice(None)) -> Rows:
        """Images of one step, of all vectors or of a slice of them."""
        start = epoch * self.images + step * self.training.batch
        end = min(start + self.training.batch, (epoch + 1) * self.images)
        index, stream = self._index[groups, start:end], self._stream[groups, start:end]
        group = torch.arange(len(index), device=index.device).repeat_interleave(index.shape[1])
        return Rows(index.flatten(), group, stream.flatten(), self.keys[index.flatten()])

    def every(self, name: str) -> Iterator[tuple[int, int]]:
        """All (epoch, step) pairs, behind a progress bar that counts images."""
        epochs, steps = self.training.epochs, self.steps
        total = epochs * self.images * self.groups
        with tqdm(total=total, desc=name, unit="image", disable=not self.training.progress, delay=0.5) as bar:
            for epoch in range(epochs):
                for step in range(steps):
                    yield epoch, step
                    bar.update(min(self.training.batch, self.images - step * self.training.batch) * self.groups)


class Meter:
    """What a training costs: passes and seconds from here on."""

    def __init__(self, pool: Pool):
        self._net, self._start = pool.net, (pool.net.forwards, pool.net.backwards, time.perf_counter())

    def reading(self, visits: Visits | None) -> dict:
        """`forwards`, `backwards` (images passed through the model), `seconds`, `images` a vector, `vectors`."""
        forwards, backwards, start = self._start
        return {
            "forwards": self._net.forwards - forwards,
            "backwards": self._net.backwards - backwards,
            "seconds": time.perf_counter() - start,
            "images_per_vector": visits.training.epochs * visits.images if visits else 0,
            "vectors": visits.groups if visits else 0,
        }
