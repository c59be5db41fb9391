"""Linear inequalities on the logits of a batch, each kept as the few labels that it reads.

With thousands of labels a matrix A (N, M, C) would fill the memory, although a row has one entry (a label on its side
of the threshold) or two (a label above another). A row that asks nothing of an image has the offset +inf: it does not
exist, and nobody pays a pass for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import pad

INF = float("inf")


@dataclass(frozen=True, eq=False)
class Constraints:
    """A d + b >= 0 on a change d (N, C) of the logits; `constraints[index]` selects images.

    Attributes
    ----------
    labels : Tensor (N, M, r) of int64
        The labels that each of an image's M rows reads; r is 1, 2, or C for output codes.
    weights : Tensor (N, M, r)
        A's entries at these labels.
    offsets : Tensor (N, M)
        b; +inf where there is no such row.
    """

    labels: Tensor
    weights: Tensor
    offsets: Tensor

    @classmethod
    def one_label_each(cls, signs: Tensor, offsets: Tensor | None = None) -> "Constraints":
        """diag(signs): row j reads label j alone; signs and offsets (N, C), no offsets being zeros."""
        labels = torch.arange(signs.shape[1], device=signs.device).expand_as(signs)
        offsets = torch.zeros_like(signs) if offsets is None else offsets
        return cls(labels[:, :, None], signs[:, :, None], offsets)

    @classmethod
    def leads(cls, upper: Tensor, lower: Tensor, offsets: Tensor) -> "Constraints":
        """e_upper - e_lower: one label above another; labels and offsets (N, M)."""
        one = (offsets != INF).to(offsets)
        return cls(torch.stack([upper, lower], dim=2), torch.stack([one, -one], dim=2), offsets)

    @classmethod
    def dense(cls, A: Tensor, offsets: Tensor) -> "Constraints":
        """Rows that read every label, as those of output codes; A (N, M, C)."""
        return cls(torch.arange(A.shape[2], device=A.device).expand_as(A), A, offsets)

    @property
    def exist(self) -> Tensor:
        """Which rows ask something of their image, (N, M) of bool."""
        return self.offsets != INF

    def matrix(self, width: int) -> Tensor:
        """A (N, M, C) for C = width labels: for the few rows that `pick` left."""
        empty = self.weights.new_zeros(*self.offsets.shape, width)
        return empty.scatter_add_(2, self.labels, self.weights)

    def times_change(self, change: Tensor) -> Tensor:
        """A d (N, M) for a change d (N, C) of the logits."""
        return (self.weights * self._at_labels(change)).sum(dim=2)

    def times(self, factors: Tensor) -> "Constraints":
        """A diag(factors), with a factor (N, C) for every label of an image."""
        return Constraints(self.labels, self.weights * self._at_labels(factors), self.offsets)

    def pick(self, rows: Tensor) -> "Constraints":
        """The chosen rows of every image, in their order; rows (N, k) of int64."""
        wide = rows[:, :, None].expand(-1, -1, self.labels.shape[2])
        return Constraints(self.labels.gather(1, wide), self.weights.gather(1, wide), self.offsets.gather(1, rows))

    def reads(self, rows: Tensor, width: int) -> Tensor:
        """Which of C = width labels the rows that a mask (N, M) marks read, (N, C) of bool."""
        read = (rows[:, :, None] & (self.weights != 0)).flatten(1)
        count = torch.zeros(len(rows), width, dtype=torch.int32, device=rows.device)
        return count.scatter_add_(1, self.labels.flatten(1), read.int()) > 0

    def among(self, labels: Tensor, width: int) -> "Constraints":
        """The same rows with the chosen labels (N, q) of C = width numbered 0..q-1; what reads others is of no use."""
        numbers = torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
        place = torch.zeros(len(labels), width, dtype=torch.int64, device=labels.device).scatter_(1, labels, numbers)
        return Constraints(place.gather(1, self.labels.flatten(1)).view_as(self.labels), self.weights, self.offsets)

    def asking(self, κ: Tensor) -> "Constraints":
        """The same rows with a margin κ (N,) asked of each."""
        return Constraints(self.labels, self.weights, self.offsets - κ[:, None])

    def where(self, mask: Tensor, other: "Constraints") -> "Constraints":
        """These rows for the images that a mask (N,) marks, the other's, which read the same labels, for the rest."""
        weights = torch.where(mask[:, None, None], self.weights, other.weights)
        return Constraints(self.labels, weights, torch.where(mask[:, None], self.offsets, other.offsets))

    def followed_by(self, other: "Constraints") -> "Constraints":
        """These rows and behind them the other's; those that read fewer labels are filled up with weights of 0."""
        r = max(self.labels.shape[2], other.labels.shape[2])
        both = [
            [pad(part, (0, r - part.shape[2])) for part in (each.labels, each.weights)] + [each.offsets]
            for each in (self, other)
        ]
        return Constraints(*(torch.cat(parts, dim=1) for parts in zip(*both, strict=True)))

    def __getitem__(self, index) -> "Constraints":
        return Constraints(*(getattr(self, f.name)[index] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.offsets)

    def _at_labels(self, values: Tensor) -> Tensor:
        """Values (N, C) where the rows read them, (N, M, r)."""
        flat = self.labels.flatten(1)
        return values.gather(1, flat).view_as(self.labels)


def equally_many(mask: Tensor, chunk: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a batch by how many rows an image has, so that none pays for rows of its neighbours.

    Parameters
    ----------
    mask : Tensor (N, M) of bool
        The rows that each image has.
    chunk : int, optional
        Most images at a time; all by default.

    Yields
    ------
    images : Tensor (n,) of int64
        Images that have equally many rows, k > 0.
    rows : Tensor (n, k) of int64
        Which these are, in order.
    """
    number = mask.sum(dim=1)
    for k in number.unique().tolist():
        for images in (number == k).nonzero().flatten().split(chunk or len(mask)) if k else ():
            yield images, first_marked(mask[images], k)


def first_marked(mask: Tensor, k: int) -> Tensor:
    """Indices (n, k) of the entries that a mask (n, M) marks, in order; a row with fewer is filled up with others."""
    return mask.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :k]
