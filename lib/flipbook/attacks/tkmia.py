"""TkMIA, our adaptation: some labels leave the first k, others stay in it (Sun, Xu, Wang and Huang, ACM MM 2023)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Loss, descend
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_at_least, check_positive
from flipbook.goals import INF, Goal, TopKEquals, TopKExcludes, check_top_k


@attack
def tkmia(
    model,
    images: Tensor,
    goal: Goal,
    *,
    momentum: float = 0.9,
    weight_decay: float = 4e-4,
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    stop_on_success: bool | None = None,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat v <- μ v + ∇L + ω δ, δ <- Π(δ - lr v), Π onto the ball of radius τ and then the box.

    The loss lets the labels S leave the first k and keeps the labels K among them,

        L = [max_{j in S} z_j - mean of the C - k smallest logits] + [mean of the k largest logits - min_{j in K} z_j],

    a bracket without labels being 0. **Our adaptation**, see Notes: S = Y without the targets, K = Y_t.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `TopKExcludes` (untargeted) or `TopKEquals` (targeted).
    momentum : float
        μ, in [0, 1).
    weight_decay : float
        ω, at least 0, the weight of ½||δ||², in [0, 1] units (1e-4 on the paper's [-1, 1]: with lr a quarter of its
        value the same decay of δ takes four times the weight).
    radius, learning_rate, max_iterations, stop_on_success
        See `tkml`.
    trace : tuple of str
        "loss" keeps L, "step" the L2 norm of the step before it is projected, (N, T + 1) each.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, another goal and hyper-parameters out of range.

    Notes
    -----
    Deviation: the paper's S and K divide the true labels; MASW compares TkMIA where all true labels leave, or where
    labels that the image lacks come in, and does not say how. Untargeted, K is empty and what remains is `tkml` with
    momentum and weight decay. Optimiser, μ and ω are the paper's; lr, τ and T are those of MASW's comparison; δ is in
    image space, the paper's in tanh space.
    """
    check_top_k("tkmia", goal)
    check_positive(learning_rate=learning_rate)
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}: it must be in [0, 1)")
    check_at_least(0, weight_decay=weight_decay)
    return descend(
        model,
        images,
        goal,
        lambda _: Loss(leave_and_stay),
        lambda x: _Momentum(torch.zeros_like(x), learning_rate, momentum, weight_decay),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=isinstance(goal, TopKExcludes) if stop_on_success is None else stop_on_success,
        trace=trace,
    )


def leave_and_stay(goal: TopKExcludes | TopKEquals, logits: Tensor) -> Tensor:
    """L, (n,): true labels are to leave the first k, targets are to stay in it."""
    stays = goal.target if isinstance(goal, TopKEquals) else torch.zeros_like(goal.present)
    leaves = goal.present & ~stays
    smallest = logits.topk(logits.shape[1] - goal.k, dim=1, largest=False).values.mean(dim=1)
    largest = logits.topk(goal.k, dim=1).values.mean(dim=1)
    above = logits.masked_fill(~leaves, -INF).amax(dim=1) - smallest
    below = largest - logits.masked_fill(~stays, INF).amin(dim=1)
    return torch.where(leaves.any(dim=1), above, 0) + torch.where(stays.any(dim=1), below, 0)


@dataclass(frozen=True)
class _Momentum:
    """The step of stochastic gradient descent with momentum, and the velocity v (n, channels, H, W) of each image."""

    v: Tensor
    rate: float
    momentum: float
    decay: float

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        self.v.mul_(self.momentum).add_(g).add_(δ, alpha=self.decay)
        return δ.sub_(self.v, alpha=self.rate)

    def __getitem__(self, index: Tensor) -> "_Momentum":
        return replace(self, v=self.v[index])
