"""Auto-PGD (Croce and Hein 2020), and what GMLA's program makes of it: momentum, and steps halved at a standstill.

Every image has its own step size, counters and best iterate, and leaves the batch at its first success. The images of
a batch all start at step 0 and are checked by step number alone, so that the checkpoints need no counter each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.attacks.engines.target_split import Losses, split
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.gradients import owned, row_gradients
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_counts, check_positive, check_radius
from flipbook.goals import Goal

STEADY = 0.75  # share of steps since the last check that must have improved the objective

Direct = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]
Part = Callable[[Goal, Tensor], tuple[Goal, Tensor]]


def checkpoints(max_iterations: int, checkpoint_decrease: int) -> dict[int, int]:
    """Steps after which the step sizes are looked at, each with the number of steps since the look before."""
    k, least, less = (max(int(share * max_iterations), 1) for share in (0.22, 0.06, 0.03))
    checks, i = {}, k
    while i < max_iterations:
        checks[i] = k
        k = max(k - checkpoint_decrease * less, least)
        i += k
    return checks


def signs(gradients: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Descend the first loss in every pixel alike."""
    return gradients.squeeze(1).sign_().neg_(), {}


def auto_pgd(
    model,
    images: Tensor,
    goal: Goal,
    losses: Losses,
    direct: Direct,
    *,
    bound: float,
    step: float,
    max_iterations: int,
    momentum: float,
    checkpoint_decrease: int,
    first_rise: bool = False,
    trace: tuple[str, ...] = (),
    part: Part = split,
) -> AttackResult:
    """Climb along directions of unit maximum norm within the box of half-width ε around the image.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Decides success.
    losses : callable
        Margins (n, M) and targets (n, M) to the objective (n,), whose fall counts as progress, and the losses (n,)
        whose gradients make the direction.
    direct : callable
        Those losses' gradients (n, k, channels, H, W) to a direction D and quantities (n,) for the trace.
    bound : float
        ε, the largest change of a pixel.
    step : float
        First step size s.
    max_iterations : int
        N.
    momentum : float
        Weight of a step; what remains goes to the move before.
    checkpoint_decrease : int
        How often a check takes 0.03 N off the number of steps to the next one, which is at least 0.06 N.
    first_rise : bool
        Whether the very first step can count as one that raised the objective: in Auto-PGD's paper it can, GMLA's
        program compares it with a step that does not exist.
    trace : tuple of str
        Quantities to keep, one (N, max_iterations) each, NaN where an image had left.
    part : callable
        Goal and clean logits to the goal whose margins the losses get, and the targets.

    Returns
    -------
    AttackResult
        The first success. Passes: 1 forward and k backward a step, 1 forward to look at the clean images and 1 at the
        last iterate. An image that leaves has made the backward passes of its last iterate too.
    """
    check_radius(bound=bound)
    check_positive(step=step, momentum=momentum)
    check_counts(max_iterations=max_iterations)
    check_counts(0, checkpoint_decrease=checkpoint_decrease)
    if momentum > 1:
        raise ValueError(f"momentum is {momentum}: it is the weight of a step, at most 1")
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    kept = {name: images.new_full((len(images), max_iterations), torch.nan) for name in trace}
    if len(best.rows):
        schedule = (step, max_iterations, momentum, checkpoints(max_iterations, checkpoint_decrease), first_rise)
        aim, targets = part(goal, best.logits)
        state = tuple(each[best.rows] for each in (goal, aim, targets, images.detach()))
        _climb(net, best, *state, losses, direct, bound, schedule, kept)
    result = best.result()
    result.trace = kept
    return result


def _climb(
    net: PassCounter,
    best: BestSoFar,
    goal: Goal,
    aim: Goal,
    targets: Tensor,
    x0: Tensor,
    losses: Losses,
    direct: Direct,
    bound: float,
    schedule: tuple[float, int, float, dict[int, int], bool],
    kept: dict[str, Tensor],
) -> None:
    step, max_iterations, momentum, checks, first_rise = schedule
    low, high = (x0 - bound).clamp(min=0), (x0 + bound).clamp(max=1)
    x, before, pace = x0.clone(), x0, StepSizeControl.start(x0, step)
    passes = 1

    for i in range(max_iterations):
        logits, f, gradients = _descent(net, x, aim, targets, losses)
        violations = goal.violations(logits)
        best.update(x, violations, l2_norm(x - x0), i, passes + 1)
        passes += 1 + gradients.shape[1]
        D, quantities = direct(gradients)
        for name, values in kept.items():
            values[best.rows, i] = quantities[name].to(values)

        pace.see(x, D, f, compare=i > 1 or (first_rise and i == 1))
        if i in checks:
            x, D = pace.check(x, D, checks[i])
        # The move is made in place: on a CPU, fresh memory of the images' size costs more than the arithmetic.
        new = D.mul_(batch_view(pace.s, D)).add_(x).clamp_(low, high)  # GMLA's Eq. (9)
        if i:  # Eq. (10)
            new.sub_(x).mul_(momentum).add_(x).add_(before.sub_(x), alpha=momentum - 1).clamp_(low, high)
        x, before = new, x

        # Asking who is done waits for the device, but saves each image that leaves its next passes.
        stays = (violations > 0).nonzero().flatten()
        if len(stays) < len(x):
            best.keep(stays)
            everything = (goal, aim, targets, x0, low, high, x, before, pace)
            goal, aim, targets, x0, low, high, x, before, pace = (each[stays] for each in everything)
            if not len(stays):
                return
    with torch.no_grad():
        violations = goal.violations(net(x))
    best.update(x, violations, l2_norm(x - x0), max_iterations, passes + 1)


def _descent(net: PassCounter, x: Tensor, aim: Goal, targets: Tensor, losses: Losses) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (n, C), the objective f = -loss (n,) and the gradients (n, k, channels, H, W) of the losses to descend."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        z = logits.detach().requires_grad_()
        objective, parts = losses(aim.margins(z), targets)
        rows = [torch.autograd.grad(part.sum(), z, retain_graph=True)[0] for part in parts]
    if len(rows) == 1:
        (gradient,) = torch.autograd.grad(logits, x, rows[0])
        return z.detach(), -objective.detach(), owned(gradient)[:, None]
    return z.detach(), -objective.detach(), row_gradients(net, logits, x, torch.stack(rows, dim=1))


@dataclass
class StepSizeControl(PerImage):
    """Where each image stands in the control of its step size; f is the objective, to be raised."""

    s: Tensor  # (n,) step size
    best: Tensor  # (n, channels, H, W) iterate of largest f
    best_D: Tensor  # (n, channels, H, W) the direction there
    best_f: Tensor  # (n,)
    best_f_then: Tensor  # (n,) best_f at the last check
    last_f: Tensor  # (n,)
    ups: Tensor  # (n,) steps since the last check that raised f
    reduced: Tensor  # (n,) whether the last check halved s

    @classmethod
    def start(cls, x: Tensor, step: float) -> "StepSizeControl":
        """Begin with the first look, which is always the best so far; no check has been, which counts as a halving."""
        nothing = x.new_zeros(len(x))
        lowest = nothing - torch.inf
        ups = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return cls(nothing + step, x.clone(), torch.zeros_like(x), lowest, lowest, lowest, ups, ups == 0)

    def see(self, x: Tensor, D: Tensor, f: Tensor, compare: bool) -> None:
        """Take in an iterate."""
        if compare:
            self.ups = self.ups + (f > self.last_f)
        better = batch_view((f > self.best_f).to(x), x)  # a weight of 0 or 1 is exact, and on a CPU faster than where
        self.best.lerp_(x, better)
        self.best_D.lerp_(D, better)
        self.best_f = torch.where(f > self.best_f, f, self.best_f)
        self.last_f = f

    def check(self, x: Tensor, D: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Halve s where f oscillates or stands still, and send those images back to their best iterate."""
        stalled = ~self.reduced & (self.best_f <= self.best_f_then)
        self.reduced = (self.ups <= STEADY * k) | stalled
        self.s = torch.where(self.reduced, self.s / 2, self.s)
        self.best_f_then, self.ups = self.best_f, torch.zeros_like(self.ups)
        back = batch_view(self.reduced, x)
        return torch.where(back, self.best, x), torch.where(back, self.best_D, D)
