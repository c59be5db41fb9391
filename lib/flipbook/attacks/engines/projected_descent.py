"""The engine of the descents: first-order steps on one objective, within an L2 or L∞ ball around the image.

MASW's comparison (section V-A) gives all methods the same loop and lets them differ in objective and step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.attacks.engines.norm_balls import into_ball
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.gradients import loss_gradient
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_choice, check_counts, check_inputs, check_radius
from flipbook.goals import Goal

DIRECTIONS = ("steepest", "sign")
STEP = "step"  # the one quantity that every trace can have

# Goal and logits (n, C) to what is descended (n,) and to quantities (n,) for the trace; indexed by image like a goal.
Objective = Callable[[Goal, Tensor], tuple[Tensor, dict[str, Tensor]]]
# Perturbation and gradient (n, channels, H, W), both free to be overwritten, to the next perturbation; indexed too.
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Plain:
    """δ <- δ - rate g."""

    rate: float

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        """Take one step."""
        return δ.sub_(g, alpha=self.rate)

    def __getitem__(self, index: Tensor) -> "Plain":
        return self


@dataclass(frozen=True)
class Signs:
    """δ <- δ - size sign(g), the steepest descent of a length in L∞."""

    size: float

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        """Take one step."""
        return δ.sub_(g.sign(), alpha=self.size)

    def __getitem__(self, index: Tensor) -> "Signs":
        return self


@dataclass(frozen=True)
class Unit:
    """δ <- δ - size g / ||g||₂, the steepest descent of a length in L2; where g is 0, δ stays."""

    size: float

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        """Take one step."""
        tiny = torch.finfo(g.dtype).tiny
        g = g / batch_view(g.flatten(1).abs().amax(dim=1).clamp(min=tiny), g)  # whose squares are in range
        return δ.sub_(g.mul_(batch_view(self.size / l2_norm(g).clamp(min=tiny), g)))

    def __getitem__(self, index: Tensor) -> "Unit":
        return self


def steps_of(norm: str, direction: str, size: float) -> Signs | Unit:
    """Steps of this length in this norm; with "sign" every entry moves by `size`, whatever the norm of the ball."""
    check_choice("direction", direction, DIRECTIONS)
    return Signs(size) if norm == "linf" or direction == "sign" else Unit(size)


@dataclass(frozen=True)
class Loss:
    """An objective without a state of its own: a function of the goal and the logits."""

    function: Callable[[Goal, Tensor], Tensor]

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss (n,), under the name "loss" too."""
        value = self.function(goal, logits)
        return value, {"loss": value.detach()}

    def __getitem__(self, index: Tensor) -> "Loss":
        return self


def descend(
    model,
    images: Tensor,
    goal: Goal,
    objective: Callable[[Tensor], Objective],
    step: Callable[[Tensor], Step],
    *,
    radius: float,
    max_iterations: int,
    norm: str = "l2",
    start: Callable[[Tensor], Tensor] | None = None,
    stop_on_success: bool | Callable[[Goal, Tensor], Tensor] = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat: step, project onto the ball of this radius, clip to [0, 1].

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Decides success; its `violations` decides which attempt of a failure is kept.
    objective, step : callable
        All images (N, channels, H, W) to the objective and the step, each with a state for these images.
    radius : float
        τ, largest norm of a perturbation, in [0, 1] units; may be infinite.
    max_iterations : int
        T.
    norm : {"l2", "linf"}
        Of the ball.
    start : callable, optional
        All images to perturbations like them, in the ball, from which the images at work start; by default 0.
    stop_on_success : bool or callable
        Whether an image leaves at its first success; else it goes on, and its smallest success counts. A function of
        the goal and the logits (n, C) says itself who leaves, (n,) of bool.
    trace : tuple of str
        Quantities to keep, (N, T + 1) each, NaN where an image had left: those of the objective, and "step", the L2
        norm of the step from an iterate before it is projected.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one. An image that leaves has made the backward pass of its
        last iterate too.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, hyper-parameters out of range and quantities that nobody knows.
    """
    check_inputs(model, images, goal)
    check_radius(radius=radius)
    check_counts(max_iterations=max_iterations)
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    kept = {name: images.new_full((len(images), max_iterations + 1), torch.nan) for name in trace}
    goal, x0 = goal[best.rows], images[best.rows].detach()
    objective, step = (make(images.detach())[best.rows] for make in (objective, step))
    δ = torch.zeros_like(x0) if start is None else start(images.detach())[best.rows]
    for v in range(max_iterations + 1):
        if not len(δ):
            break
        x = (x0 + δ).clamp_(0, 1)
        torch.sub(x, x0, out=δ)
        last = v == max_iterations
        with torch.set_grad_enabled(not last):
            x.requires_grad_(not last)
            logits = net(x)
            value, quantities = objective(goal, logits)
        _keep(quantities, kept, best.rows, v)
        violations = goal.violations(logits.detach())
        best.update(x.detach(), violations, l2_norm(δ), v, 2 * v + 2)
        if last:
            break
        g = loss_gradient(value, x)
        before = δ.clone() if STEP in kept else δ
        δ = step(δ, g)
        if STEP in kept:
            kept[STEP][best.rows, v] = l2_norm(δ - before).to(kept[STEP])
        δ = into_ball(δ, radius, norm)
        # Asking who is done waits for the device, but saves each image that leaves its next passes.
        done = stop_on_success(goal, logits.detach()) if callable(stop_on_success) else violations == 0
        if stop_on_success and len(stays := (~done).nonzero().flatten()) < len(δ):
            best.keep(stays)
            goal, x0, δ, objective, step = (each[stays] for each in (goal, x0, δ, objective, step))
    result = best.result()
    result.trace = kept
    return result


def _keep(quantities: dict[str, Tensor], kept: dict[str, Tensor], rows: Tensor, v: int) -> None:
    """Write quantities (n,) of iterate v into their traces."""
    for name, values in kept.items():
        check_choice("trace", name, (*quantities, STEP))
        if name != STEP:
            values[rows, v] = quantities[name].to(values)
