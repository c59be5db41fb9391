"""PGD on at most k changed entries within ±ε, targeted (Croce and Hein 2019), the smallest ε searched per image."""

import math
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.losses import loss_named
from flipbook.attacks.engines.penalty_search import penalise
from flipbook.attacks.engines.pixel_budget import pixels_of
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, uniform
from flipbook.core.validation import check_counts, check_inputs, check_positive
from flipbook.goals import Goal
from flipbook.solvers.sparse_box import nearest_sparse


@attack
def pgd_l0(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    epsilon: float = 8 / 255,
    search_steps: int = 10,
    bisections: int = 4,
    restarts: int = 5,
    max_iterations: int = 100,
    step: float = 120000 / 255 / 3072,
    loss: str = "cross-entropy",
    seed: int = 0,
) -> AttackResult:
    """Descend a loss of the goal's margins:  x <- P(x - step · N g/||g||₁), P onto k entries within ±ε and [0, 1].

    ε is doubled, up to 1, until a run succeeds, then bisected.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    k : int or Tensor (N,) of int64
        Entries that may change. Whole pixels change: round(k / channels) of them.
    epsilon : float
        ε of the first runs, largest change of an entry, in [0, 1] units.
    search_steps : int
        Most values of ε tried; with 1 ε is fixed.
    bisections : int
        Most of them after the first success.
    restarts : int
        Runs with one ε, each from its own random start; no more of them after a success.
    max_iterations : int
        Iterates of a run, the random start included.
    step : float
        By how much the N entries of an image change in one step on average, in [0, 1] units, before the projection.
        Published for CIFAR-10 is 120000/255 for the sum over N = 3072 entries.
    loss : str
        "cross-entropy" or "hinge".
    seed : int
        Another seed gives other random starts. Those of an image depend on its content and on nothing else.

    Returns
    -------
    AttackResult
        Of the successes, one at most for each ε, the one of smallest L2 norm. `iterations` is its 1-based index in its
        run. Passes: 1 forward to look at the clean images, 1 forward and 1 backward an iterate, over all runs.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, a k that does not fit and hyper-parameters out of range.

    Notes
    -----
    "PGD l0 + linf" of the authors' program, which is untargeted (ascends the cross-entropy of the true class) and has
    one given ε. There the last iterate of a run is not tested, later successes replace earlier ones, and a tie in the
    projection can change more than k pixels. Its tie-breaking noise of 1e-12 is left out. The SAPF paper prints linf
    0.12 on CIFAR-10 and 16/255 on ImageNet and does not say how ε was chosen. The published step belongs to ε = 1: at
    an ε of a few grey levels it throws the kept entries from one side of the box to the other, and a fifth of it (0.03)
    had smaller norms and no fewer successes on two victims at k = 0.05 N and 0.2 N.
    """
    check_inputs(model, images, goal)
    check_counts(search_steps=search_steps, restarts=restarts, max_iterations=max_iterations)
    check_counts(0, bisections=bisections)
    check_positive(epsilon=epsilon, step=step)
    loss, pixels = loss_named(loss), pixels_of(k, images)
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    goal, x0, pixels = (each[best.rows] for each in (goal, images.detach(), pixels))
    search, key = _Search.begin(x0, epsilon), keys(x0, seed)
    x = _random_start(x0, pixels, search, key)
    for v in count():
        if not len(goal):
            break
        logits, _, _, gradient = penalise(net, x, goal, loss)
        violations = goal.violations(logits)
        # Every image at work has made all the passes so far: the first look, two a step, and this forward.
        best.update(x, violations, l2_norm(x - x0), search.t + 1, 2 * v + 2)

        total = gradient.abs().flatten(1).sum(dim=1).clamp(min=torch.finfo(x.dtype).tiny)
        x = x - gradient * batch_view(step * x0[0].numel() / total, gradient)
        x = nearest_sparse(x, x0, pixels, *search.box(x0))
        # Asking which runs ended waits for the device, but saves the passes of images that are done.
        ended = search.advance(violations == 0, max_iterations, restarts, bisections).nonzero().flatten()
        if len(ended):
            parts = (each[ended] for each in (x0, pixels, search, key))
            x[ended] = _random_start(*parts)
            stays = ((search.tried < search_steps) & ~search.exhausted).nonzero().flatten()
            if len(stays) < len(goal):
                best.keep(stays)
                goal, x0, pixels, search, key, x = (each[stays] for each in (goal, x0, pixels, search, key, x))
    return best.result()


def _random_start(x0: Tensor, pixels: Tensor, search: "_Search", key: Tensor) -> Tensor:
    """Uniform in the box, then projected."""
    low, high = search.box(x0)
    u = uniform(key, x0[0].numel(), search.starts).view(x0.shape).to(x0) if len(x0) else x0
    return nearest_sparse(low + u * (high - low), x0, pixels, low, high)


@dataclass
class _Search(PerImage):
    """Where each of n images stands in its search for ε, every field (n,)."""

    ε: Tensor
    low: Tensor  # largest ε that failed
    high: Tensor  # smallest ε that succeeded
    tried: Tensor  # values of ε
    halved: Tensor  # values of ε since the first success
    starts: Tensor  # runs ended so far
    restart: Tensor  # number of the run with this ε
    t: Tensor  # iterates tested in this run
    exhausted: Tensor  # nothing left to try

    @classmethod
    def begin(cls, images: Tensor, epsilon: float) -> "_Search":
        value, number = images.new_zeros(len(images)), torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return cls(value + epsilon, value, value + math.inf, *[number] * 5, number.bool())

    def box(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Bounds of the attacked images."""
        ε = batch_view(self.ε, images)
        return (images - ε).clamp(min=0), (images + ε).clamp(max=1)

    def advance(self, success: Tensor, max_iterations: int, restarts: int, bisections: int) -> Tensor:
        """Count one iterate, end runs and choose the next ε where one is settled; return which runs ended (n,)."""
        ended = success | (self.t + 1 == max_iterations)
        settled = success | (ended & (self.restart + 1 == restarts))
        self.halved = self.halved + (settled & self.high.isfinite())
        self.high = torch.where(settled & success, self.ε, self.high)
        self.low = torch.where(settled & ~success, self.ε, self.low)
        found = self.high.isfinite()
        self.exhausted = settled & torch.where(found, self.halved >= bisections, self.ε >= 1)
        following = torch.where(found, (self.low + self.high) / 2, (2 * self.ε).clamp(max=1))
        self.ε = torch.where(settled, following, self.ε)
        self.tried = self.tried + settled
        self.starts = self.starts + ended
        self.restart = torch.where(settled, 0, self.restart + ended)
        self.t = torch.where(ended, 0, self.t + 1)
        return ended
