"""Goals on which class wins: by its logit, or by the codeword that agrees best with all outputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.goals.constraints import Constraints
from flipbook.goals.goal import Goal, same_width
from flipbook.goals.labels import LabelVector


@dataclass(frozen=True, eq=False)
class ClassTarget(Goal):
    """One class wins: the largest logit, or through a codebook the codeword that agrees best (JMA, Eq. 2).

    Parameters
    ----------
    target : Tensor (N,) of int64
        Class indices.
    codebook : Tensor (classes, n) of -1 and +1, optional
        One codeword a class. The decision is argmax_i tanh(z) . c_i. JMA's constraints use z . c_i instead (its
        section V-A); both agree on saturated outputs, and `exact_constraints` has the decision's own.
    """

    target: Tensor
    codebook: Tensor | None = None
    shared = ("codebook",)

    def __post_init__(self):
        if not isinstance(self.target, Tensor):
            raise ValueError(f"ClassTarget: target is a {type(self.target).__name__}: give a tensor of int64")
        if self.target.ndim != 1 or self.target.is_floating_point() or self.target.dtype == torch.bool:
            raise ValueError(
                f"ClassTarget: target has shape {tuple(self.target.shape)} and type {self.target.dtype}: "
                "give one class index an image, (N,) of int64"
            )
        if self.codebook is not None and not (self.codebook.abs() == 1).all():
            raise ValueError("ClassTarget: codebook has entries other than -1 and +1: codewords must have equal norms")
        object.__setattr__(self, "target", self.target.long())
        classes = None if self.codebook is None else len(self.codebook)
        if len(self.target) and (self.target.min() < 0 or (classes and self.target.max() >= classes)):
            top = "" if classes is None else f"..{classes - 1}"
            raise ValueError(f"ClassTarget: target holds a class outside 0{top}")

    def margins(self, logits: Tensor) -> Tensor:
        """Lead of the target over every other class, (N, classes - 1), in the decision's own scores."""
        scores = logits if self.codebook is None else logits.tanh() @ self.codebook.to(logits).T
        own = scores.gather(1, self.target[:, None])
        return own - scores.gather(1, self._others(scores.shape[1]))

    def constraints(self, logits: Tensor) -> Constraints:
        """A = c_t - c_i for every other class i (JMA, Eq. 10 with the opposite sign), b = A z."""
        if self.codebook is None:
            others = self._others(logits.shape[1])
            return Constraints.leads(self.target[:, None].expand_as(others), others, self.margins(logits))
        codebook = self.codebook.to(logits)
        A = codebook[self.target][:, None, :] - codebook[self._others(len(codebook))]
        return Constraints.dense(A, (A @ logits[:, :, None]).squeeze(2))

    def exact_constraints(self, logits: Tensor) -> Constraints:
        """A (1 - tanh² z) and the margins: the constraints through tanh, for images where z alone misleads."""
        linear = self.constraints(logits)
        if self.codebook is None:
            return linear
        return Constraints.dense(linear.weights * (1 - logits.tanh() ** 2)[:, None, :], self.margins(logits))

    def per_label(self) -> Goal:
        """The target's codeword as a label vector; without a codebook the class itself."""
        return self if self.codebook is None else LabelVector(self.codebook[self.target] > 0)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the decision is the target class."""
        scores = logits if self.codebook is None else logits.tanh() @ self.codebook.to(logits).T
        return (scores.argmax(dim=1) == self.target) & ~scores.isnan().any(dim=1)

    def check(self, logits: Tensor) -> None:
        """Refuse a codebook of another length, or a class that the model does not have."""
        if self.codebook is not None:
            same_width(self.codebook, logits, "ClassTarget: codebook")
        elif len(self.target) and self.target.max() >= logits.shape[1]:
            raise ValueError(
                f"ClassTarget: target holds class {int(self.target.max())}, the model has {logits.shape[1]} classes "
                f"(0..{logits.shape[1] - 1})"
            )

    def _others(self, classes: int) -> Tensor:
        """Indices of all classes but the target, (N, classes - 1)."""
        i = torch.arange(classes - 1, device=self.target.device)
        return i + (i >= self.target[:, None]).long()
