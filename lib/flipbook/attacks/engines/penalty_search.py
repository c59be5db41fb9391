"""The engine of the C&W family: squared distance plus a weighted penalty, the weight λ searched for each image.

    minimise over w   ||x' - x0||²₂ + λ penalty(x'),      x' = (tanh w + 1) / 2 = sigmoid(2 w)

Images do not move in lock step through the search: each has its own λ, step count and Adam state, and starts its next
run the moment a run ends, so that the batch stays full until an image has made all its runs and leaves.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.attacks.engines.weight_search import WeightSearch
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.gradients import loss_gradient
from flipbook.core.pass_counter import PassCounter
from flipbook.goals import Goal

BLOCK = 10  # steps between two looks at which images are done, the only time that the host waits for the device
β1, β2, ADAM_ε = 0.9, 0.999, 1e-8


def minimise_penalty(
    net: PassCounter,
    images: Tensor,
    goal: Goal,
    aim: Goal,
    penalty: Callable[[Tensor], Tensor],
    *,
    initial_weight: float,
    search_steps: int,
    max_iterations: int,
    learning_rate: float,
    confidence: float = -math.inf,
    stop_on_success: bool = False,
) -> AttackResult:
    """Run the search and keep, of all iterates of all runs, the successful one nearest to the image.

    Parameters
    ----------
    net : PassCounter
        The counter around the model.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Decides success.
    aim : Goal
        Gives the margins that the penalty works on: `goal`, or `goal.per_label()`.
    penalty : callable
        Margins (n, M) to the penalty's value (n,).
    initial_weight : float
        λ of the first run. After a success λ is bisected, before it is multiplied by 10.
    search_steps : int
        n_bs, the number of runs (values of λ).
    max_iterations : int
        n_it,max, steps a run. A run stops early when in a tenth of them the loss has not dropped by 0.01 %.
    learning_rate : float
        Of Adam, whose state is fresh in every run.
    confidence : float
        Smallest margin with which a reached goal counts as a success for the search.
    stop_on_success : bool
        Stop at an image's first success, and leave λ at 1.

    Returns
    -------
    AttackResult
        `iterations` is the 1-based index of the returned iterate in the run of its λ; 0 is the clean image.
    """
    best = BestSoFar(net, images, goal)
    goal, aim, x0 = goal[best.rows], aim[best.rows], images[best.rows].detach()
    # u = 2 w is cheaper to work with; Adam on u with twice the rate and half its ε is Adam on w.
    u0 = (0.5 + 0.999999 * (x0 - 0.5)).logit()
    u = u0.clone()
    search = _Search.start(x0, 1.0 if stop_on_success else initial_weight)
    adam = Adam.start(x0)
    runs = 1 if stop_on_success else search_steps

    for step in range(runs * max_iterations):
        if step % BLOCK == 0:
            stays = (search.run < runs).nonzero().flatten()
            if len(stays) < len(u):
                best.keep(stays)
                goal, aim, x0, u0, u, search, adam = (each[stays] for each in (goal, aim, x0, u0, u, search, adam))
            if not len(u):
                break

        x = u.sigmoid()
        logits, margins, weighted, gradient = penalise(net, x, aim, penalty, search.λ.weight)
        δ = x - x0  # of ||δ||² + λ penalty, the objective (JMA, Eq. 4)
        norm, violations = l2_norm(δ), goal.violations(logits)
        below_margin = margins.amin(dim=1) < confidence
        # Every image at work has made all the passes so far: the first look, two a step, and this forward.
        best.update(x, violations, norm, search.t + 1, 2 * step + 2, below_margin, search.run < runs)

        # In place from here on: on a CPU, fresh memory of the images' size costs more than the arithmetic.
        slope = x.addcmul_(x, x, value=-1)  # dx'/du = x' (1 - x')
        adam.update(u, δ.mul_(2).add_(gradient).mul_(slope), search.t, 2 * learning_rate, ADAM_ε / 2)
        success = (violations == 0) & ~below_margin
        ended = search.advance(norm.square() + weighted, success, max_iterations, stop_on_success=stop_on_success)
        torch.where(batch_view(ended, u), u0, u, out=u)
    return best.result()


def penalise(
    net: PassCounter, x: Tensor, aim: Goal, penalty: Callable[[Tensor], Tensor], λ: Tensor | float = 1.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, margins, λ penalty (n,) and its gradient with respect to x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        margins = aim.margins(logits)
        weighted = λ * penalty(margins)
    return logits.detach(), margins.detach(), weighted.detach(), loss_gradient(weighted, x)


@dataclass
class _Search(PerImage):
    """Where each image stands in its search for λ, every field (n,)."""

    λ: WeightSearch
    run: Tensor  # runs made so far
    t: Tensor  # steps made in this run
    previous: Tensor  # loss when it was last compared
    succeeded: Tensor  # in this run

    @classmethod
    def start(cls, images: Tensor, weight: float) -> "_Search":
        λ = images.new_full((len(images),), weight)
        count = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        return cls(WeightSearch.start(λ), count, count, torch.full_like(λ, math.inf), count.bool())

    def advance(self, loss: Tensor, success: Tensor, max_iterations: int, stop_on_success: bool) -> Tensor:
        """Count one step, end the runs that are over and choose their next λ; return which ended, (n,) of bool."""
        look = self.t % math.ceil(max_iterations / 10) == 0
        ended = (look & ~(loss <= 0.9999 * self.previous)) | (self.t + 1 == max_iterations)
        ended = ended | success if stop_on_success else ended
        self.succeeded = self.succeeded | success
        self.λ = self.λ.after(self.succeeded, growth=10).where(ended, self.λ)
        self.run = self.run + ended
        self.t = torch.where(ended, 0, self.t + 1)
        self.previous = torch.where(ended, math.inf, torch.where(look, loss, self.previous))
        self.succeeded = self.succeeded & ~ended
        return ended


@dataclass
class Adam(PerImage):
    """Moments of the gradient, every field (n, channels, H, W)."""

    mean: Tensor
    square: Tensor

    @classmethod
    def start(cls, images: Tensor) -> "Adam":
        """Moments of 0 for these images."""
        return cls(torch.zeros_like(images), torch.zeros_like(images))

    def update(self, u: Tensor, gradient: Tensor, t: Tensor, learning_rate: float, ε: float) -> None:
        """Move u by Adam's step number t + 1 (n,); at t = 0 the moments start afresh. Overwrites `gradient`."""
        goes_on = batch_view((t > 0).to(u), u)
        self.mean.mul_(β1 * goes_on).add_(gradient, alpha=1 - β1)
        self.square.mul_(β2 * goes_on).addcmul_(gradient, gradient, value=1 - β2)
        t = t.double() + 1
        # lr / c1 * mean / (sqrt(square) / c2 + ε), with both corrections c for the start pulled into the denominator
        scale = (1 - β1**t) / learning_rate
        root, offset = (batch_view(s.to(u), u) for s in (scale / (1 - β2**t).sqrt(), scale * ε))
        torch.sqrt(self.square, out=gradient).mul_(root).add_(offset)
        u.addcdiv_(self.mean, gradient, value=-1)
