"""What an attack keeps of every image while it works: the closest attempt, and when its goal was first reached."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view
from flipbook.core.pass_counter import PassCounter
from flipbook.goals import Goal


class PerImage:
    """Base of dataclasses whose fields are tensors with one entry an image."""

    def __getitem__(self, index: Tensor):
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))

    def __setitem__(self, index: Tensor, part: "PerImage"):
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(part, f.name)

    def where(self, condition: Tensor, other: "PerImage"):
        """These entries where the condition (n,) holds, the other's elsewhere."""
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return type(self)(*(torch.where(batch_view(condition, mine), mine, theirs) for mine, theirs in pairs))


@dataclass
class _Attempts(PerImage):
    """The attempt kept for each of n images."""

    images: Tensor  # (n, channels, H, W)
    shortfall: Tensor  # (n,) requirements missed; below 1 the goal is reached
    norm: Tensor  # (n,) L2 norm of the perturbation
    iterations: Tensor  # (n,) of int64
    first_success: Tensor  # (n,) of int64


class BestSoFar:
    """The closest attempt of every image: fewest requirements missed, then smallest L2 norm of the perturbation.

    Starts from the clean images, which costs one forward pass. Images that reach their goal by themselves keep their
    zero perturbation and are never at work.

    Parameters
    ----------
    net : PassCounter
        The counter around the model; its focus follows the images at work.
    images : Tensor (N, channels, H, W)
        The clean images.
    goal : Goal
        Of these N images.

    Attributes
    ----------
    rows : Tensor (n,) of int64
        The images at work, as indices into the batch.
    logits : Tensor (N, C)
        Of the clean images.
    """

    def __init__(self, net: PassCounter, images: Tensor, goal: Goal):
        self.net = net
        with torch.no_grad():
            self.logits = net(images) if len(images) else images.new_zeros(0, 0)
        violations = (
            goal.violations(self.logits) if len(images) else torch.zeros(0, dtype=torch.int64).to(images.device)
        )
        shortfall, nothing = violations.to(images.dtype), torch.zeros_like(violations)
        first_success = torch.where(violations == 0, 1, -1)
        self._all = _Attempts(images.detach().clone(), shortfall, 0 * shortfall, nothing, first_success)
        self.rows = (violations > 0).nonzero().flatten()
        self._at_work = self._all[self.rows]  # apart from the rest, so that an update needs no gather and scatter
        net.focus(self.rows)

    def update(
        self,
        x: Tensor,
        violations: Tensor,
        norm: Tensor,
        iterations: Tensor | int,
        passes: int,
        below_margin: Tensor | None = None,
        counts: Tensor | bool = True,
    ) -> None:
        """Take in one attempt for each image at work; never waits for the device.

        Parameters
        ----------
        x : Tensor (n, channels, H, W)
            The attempts.
        violations : Tensor (n,) of int64
            `goal.violations` of their logits.
        norm : Tensor (n,)
            L2 norm of their perturbations.
        iterations : Tensor (n,) of int64, or int
            What to report if the attempt is kept.
        passes : int
            Forward and backward passes that each of these images has cost so far.
        below_margin : Tensor (n,) of bool, optional
            Attempts without the confidence asked for: they rank half a requirement behind.
        counts : Tensor (n,) of bool
            False for images that are done already; an attempt that is not finite never counts.
        """
        kept = self._at_work
        shortfall = violations.to(norm) if below_margin is None else violations.to(norm) + below_margin.to(norm) / 2
        counts = counts & (norm < torch.inf)
        better = counts & ((shortfall < kept.shortfall) | ((shortfall == kept.shortfall) & (norm < kept.norm)))
        torch.where(batch_view(better, x), x, kept.images, out=kept.images)
        kept.shortfall = torch.where(better, shortfall, kept.shortfall)
        kept.norm = torch.where(better, norm, kept.norm)
        kept.iterations = torch.where(better, iterations, kept.iterations)
        first = counts & (violations == 0) & (kept.first_success < 0)
        kept.first_success = torch.where(first, passes, kept.first_success)

    @property
    def closest(self) -> Tensor:
        """The attempts kept so far for the images at work, (n, channels, H, W)."""
        return self._at_work.images

    def keep(self, stays: Tensor) -> None:
        """Let all images leave but these, an index or a mask (n,) into the images at work."""
        self.work_on(self.rows[stays])

    def work_on(self, rows: Tensor) -> None:
        """Let these places of the batch be at work, and no others; images can sit out and come back."""
        self._all[self.rows] = self._at_work
        self.rows, self._at_work = rows, self._all[rows]
        self.net.focus(rows)

    def result(self) -> AttackResult:
        """Put together what the attack returns."""
        self._all[self.rows] = self._at_work
        kept, passes = self._all, (self.net.forwards.clone(), self.net.backwards.clone())
        return AttackResult(kept.images, kept.shortfall < 1, kept.iterations, *passes, kept.first_success)
