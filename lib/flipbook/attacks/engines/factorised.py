"""The engine of SAPF and its extensions: a perturbation as magnitudes times a selection, δ ⊙ G (Fan et al. 2020).

    minimise over δ, G   ||w ⊙ δ ⊙ G||² + λ1 L(clip(x + δ ⊙ G)) [+ λ2 Σ_i ||G^i||],   G binary with k ones   (Eq. 3)

One solve, for a fixed λ1: descend on δ under G = 1 (Eq. 7), choose G by the lp-box ADMM with δ fixed (Eqs. 8 to 15),
and so on in turns; round G to exactly k ones; refit δ under it. Around it each pair of an image and a target searches
its own λ1. Pairs move in lock step, so that step sizes and penalties depend on the step only; a pair that is through
with a phase early sits out until the next one and saves its passes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from flipbook.attacks.engines.losses import loss_named
from flipbook.attacks.engines.weight_search import WeightSearch
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar, PerImage
from flipbook.core.gradients import loss_gradient
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, uniform
from flipbook.core.validation import check_at_least, check_choice, check_counts, check_positive
from flipbook.goals import Goal
from flipbook.solvers.lp_box import LpBox, Schedule, largest_entries

SELECTIONS = ("literal", "normalised", "magnitude", "gradient", "random")
LOOK = 10  # steps between two looks at which pairs have a settled selection, when the host waits for the device


@dataclass(frozen=True)
class Method:
    """What all pairs have in common: the options of `sapf`, by their names there, and the group penalty's weight."""

    loss: Callable[[Tensor], Tensor]
    selection: str
    rounds: int
    inner_iterations: int
    leave_early: bool
    group_weight: float

    @property
    def chooses(self) -> bool:
        """Whether there is a G-phase."""
        return self.selection in ("literal", "normalised")

    @property
    def refit_start(self) -> int:
        """Steps on δ before the refit."""
        return self.rounds * self.inner_iterations

    @property
    def refit_place(self) -> int:
        """Steps on δ and G before the refit, phases that were left early counted in full."""
        return self.refit_start * (2 if self.chooses else 1)


@dataclass
class Problem(PerImage):
    """What a solve takes as given, one entry a pair at work."""

    rows: Tensor  # (n,) place in the batch
    goal: Goal
    x0: Tensor  # (n, channels, H, W)
    visibility: Tensor  # w², (n, channels, H, W), or (n, 1, 1, 1) of ones
    labels: Tensor  # superpixels, (n, H, W), or (n, 0)
    start: Tensor  # G to begin with, (n, channels or 1, H, W)
    ones: Tensor  # (n,) k as a number of entries of G
    λ: Tensor  # (n,) λ1


def factorise(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    selection: str,
    loss: str,
    kappa: float,
    initial_weight: float | None,
    search_steps: int,
    rounds: int,
    inner_iterations: int,
    search_stop: str,
    leave_early: bool,
    shared_channels: bool = False,
    weights: Tensor | None = None,
    groups: Tensor | None = None,
    group_weight: float = 0.0,
) -> AttackResult:
    """Run the search for λ1 on checked inputs; all parameters as in `sapf`, `sapf_gs` and `sapf_vi`.

    Parameters
    ----------
    weights : Tensor (N, channels, H, W), optional
        w. Among the successes the one of smallest ||w ⊙ r|| is kept.
    groups : Tensor (N, H, W) of int64, optional
        Superpixels, needed where group_weight is positive.
    """
    check_choice("selection", selection, SELECTIONS)
    check_choice("search_stop", search_stop, ("budget", "first"))
    check_counts(search_steps=search_steps, rounds=rounds, inner_iterations=inner_iterations)
    if initial_weight is not None:
        check_positive(initial_weight=initial_weight)
    check_at_least(0, kappa=kappa)
    if rounds > 1 and selection not in ("literal", "normalised"):
        raise ValueError(f"rounds is {rounds}: selection {selection!r} has no G-phase to repeat, use 1")
    ones = _ones(k, images, shared_channels)
    method = Method(loss_named(loss, kappa), selection, rounds, inner_iterations, leave_early, group_weight)

    best = BestSoFar(PassCounter(model, images), images, goal)
    rows = best.rows
    x0 = images[rows].detach()
    weights = x0.new_ones(len(x0), 1, 1, 1) if weights is None else weights[rows].to(x0)
    labels = rows.new_zeros(len(rows), 0) if groups is None else groups[rows]
    start = torch.ones_like(x0[:, :1] if shared_channels else x0)
    problem = Problem(rows, goal[rows], x0, weights.square(), labels, start, ones[rows], x0.new_zeros(len(x0)))
    _prepare(problem, best, method, initial_weight)

    search = WeightSearch.start(problem.λ)
    for _ in range(search_steps):
        if not len(problem.rows):
            break
        problem.λ = search.weight
        reached = _solve(problem, best, method)
        search = search.after(reached, growth=10)
        if search_stop == "first":
            stays = (~reached).nonzero().flatten()
            problem, search = problem[stays], search[stays]
            best.work_on(problem.rows)
    return best.result()


def _ones(k: int | Tensor, images: Tensor, shared_channels: bool) -> Tensor:
    """Check k and turn it into a number of entries of G for every pair, (N,) of int64."""
    N, (channels, size) = len(images), (images.shape[1], images.shape[1:].numel())
    if not isinstance(k, Tensor):
        if isinstance(k, bool) or not hasattr(k, "__index__"):
            raise ValueError(f"k is {k!r}: give a whole number of entries, or one a pair as a tensor of int64")
        k = torch.full((N,), int(k))
    if k.is_floating_point() or k.dtype == torch.bool:
        raise ValueError(f"k is a tensor of {k.dtype}: round it and convert it to int64")
    if k.shape != (N,):
        raise ValueError(f"k has shape {tuple(k.shape)}: give one number, or one a pair, ({N},)")
    least = channels if shared_channels else 1
    if N and not (least <= k.min() and k.max() <= size):
        wrong = int(k.min()) if k.min() < least else int(k.max())
        why = "the channels of one pixel" if shared_channels and least > 1 else "one"
        raise ValueError(f"k is {wrong}: it must lie between {least} ({why}) and {size} (all entries of an image)")
    return k.to(images.device, torch.int64) // (channels if shared_channels else 1)


def _prepare(problem: Problem, best: BestSoFar, method: Method, initial_weight: float | None) -> None:
    """Set λ1 of the first solve and, for the two selections that never change it, G."""
    gradient = None
    if len(problem.rows) and (initial_weight is None or method.selection == "gradient"):
        problem.λ = torch.ones_like(problem.λ)
        _, value, gradient = _evaluate(best.net, problem.x0, problem, method)
    if initial_weight is not None:
        problem.λ = torch.full_like(problem.λ, initial_weight)
    elif gradient is not None:
        # On an affine model 2 L / ||g||² just suffices with all entries; k of them, and a curved model, need more.
        sufficient = 2 * value / gradient.flatten(1).square().sum(dim=1)
        problem.λ = torch.where(sufficient.isfinite() & (sufficient > 0), 4 * sufficient, 1e-3)
    if method.selection == "gradient" and gradient is not None:
        problem.start = _rounded(gradient.abs(), problem)
    if method.selection == "random":
        chance = uniform(keys(problem.x0), problem.start[:1].numel(), 0) if len(problem.rows) else problem.start
        problem.start = _rounded(chance.view_as(problem.start).to(problem.start), problem)


def _solve(problem: Problem, best: BestSoFar, method: Method) -> Tensor:
    """Solve for one λ1 a pair; the attempts go into the record. Return which pairs reached their goal, (n,) of bool."""
    T = method.inner_iterations
    δ, G = torch.zeros_like(problem.x0), problem.start
    for turn in range(method.rounds):
        _descend(problem, δ, G, best, method, turn * T, T)
        if method.chooses:
            G = _choose(problem, δ, G, best, method, turn * T)
    if method.chooses:
        G = _rounded(G, problem)
    elif method.selection == "magnitude":
        # What leaving an entry out costs is (w δ)²: on an affine model the k largest are the best support.
        G = _rounded(problem.visibility * δ.square(), problem)
    return _descend(problem, δ, G, best, method, method.refit_start, math.ceil(T / 2), refit=True)


def _rounded(score: Tensor, problem: Problem) -> Tensor:
    """G with exactly k ones, where `score` (n, channels or 1, H, W) is largest."""
    if score.shape != problem.start.shape:
        score = score.sum(dim=1, keepdim=True)
    return largest_entries(score, problem.ones).to(problem.x0)


def _descend(
    problem: Problem,
    δ: Tensor,
    G: Tensor,
    best: BestSoFar,
    method: Method,
    first: int,
    steps: int,
    refit: bool = False,
) -> Tensor:
    """δ-phase (Eq. 7): `steps` steps on δ, in place; in the refit every iterate is an attempt, also the last.

    Return which pairs reached their goal in an attempt, (n,) of bool.
    """
    everyone, at = problem.rows, torch.arange(len(δ), device=δ.device)
    all_δ, δ = δ, δ.clone()
    reached = torch.zeros_like(at, dtype=torch.bool)
    schedule, window = Schedule(method.inner_iterations), max(1, method.inner_iterations // 10)
    lowest = torch.full_like(problem.λ, math.inf)
    milestone, spent = lowest, best.net.total[everyone]
    curvature = 2 * problem.visibility * G.square()
    x = torch.empty_like(δ)
    for t in range(steps + refit):
        if method.leave_early and t and t % window == 0:
            stays = (lowest < 0.999 * milestone).nonzero().flatten()
            milestone = lowest
            if len(stays) < len(at):
                all_δ[at] = δ
                at, δ, G, problem = at[stays], δ[stays], G[stays], problem[stays]
                lowest, milestone, spent, curvature = (a[stays] for a in (lowest, milestone, spent, curvature))
                x = torch.empty_like(δ)
                best.work_on(problem.rows)
            if not len(at):
                break
        cut = _attempt(problem.x0, δ, G, x)
        last = t == steps
        logits, value, g = _evaluate(best.net, x, problem, method, backward=not last)
        if refit:
            violations = problem.goal.violations(logits)
            norm = l2_norm((x - problem.x0).mul_(problem.visibility.sqrt()))
            best.update(x, violations, norm, method.refit_place + t, spent + 2 * t + 1)
            reached[at] |= violations == 0
        if last:
            break
        shrink = δ * curvature
        if method.leave_early:
            lowest = torch.minimum(lowest, value + (shrink * δ).flatten(1).sum(dim=1) / 2)
        η = schedule.step_size(first + t)
        δ.sub_(shrink, alpha=η).addcmul_(g.masked_fill_(cut, 0), G, value=-η)  # Eq. (7)
    all_δ[at] = δ
    if len(at) < len(all_δ):
        best.work_on(everyone)
    return reached


def _choose(problem: Problem, δ: Tensor, G: Tensor, best: BestSoFar, method: Method, first: int) -> Tensor:
    """G-phase: the lp-box ADMM on G with δ fixed, its duals fresh; return the new G, not yet binary."""
    everyone, at = problem.rows, torch.arange(len(δ), device=δ.device)
    all_G = torch.empty_like(G)
    schedule = Schedule(method.inner_iterations, G.shape[1:].numel())
    labels = problem.labels if method.group_weight > 0 else None
    box = LpBox(G, problem.ones, schedule, labels, method.group_weight)
    energy = problem.visibility * δ.square()
    scale = _scale(energy) if method.selection == "normalised" else None
    x = torch.empty_like(δ)
    for t in range(method.inner_iterations):
        if method.leave_early and t and t % LOOK == 0:
            stays = (~box.settled(first + t)).nonzero().flatten()
            if len(stays) < len(at):
                all_G[at] = box.G
                at, δ, energy, box, problem = (each[stays] for each in (at, δ, energy, box, problem))
                scale = None if scale is None else scale[stays]
                x = torch.empty_like(δ)
                best.work_on(problem.rows)
            if not len(at):
                break
        cut = _attempt(problem.x0, δ, box.G, x)
        _, _, g = _evaluate(best.net, x, problem, method)
        data = g.masked_fill_(cut, 0).mul_(δ).addcmul_(energy, box.G, value=2)  # of Eq. (14)
        if box.G.shape != data.shape:
            data = data.sum(dim=1, keepdim=True)
        box.step(data if scale is None else data.mul_(batch_view(scale, data)), first + t)
    all_G[at] = box.G
    if len(at) < len(all_G):
        best.work_on(everyone)
    return all_G


def _scale(energy: Tensor) -> Tensor:
    """Factor (n,) on the data part that makes the G-phase independent of the perturbation's size.

    The penalties are of order 5e-3 while (w δ)² may be of order 1e-6, where the ADMM goes its own way. A constant
    factor on the objective leaves the problem as it is; the second bound keeps the step on G stable.
    """
    energy = energy.flatten(1).clamp(min=torch.finfo(energy.dtype).tiny)
    return torch.minimum(0.01 / energy.mean(dim=1), 5 / energy.amax(dim=1))


def _attempt(x0: Tensor, δ: Tensor, G: Tensor, x: Tensor) -> Tensor:
    """Write clip(x0 + δ ⊙ G) into x; return where the clip cut, as bool.

    Exactly 0 and 1 are not cut: black and white pixels need a gradient to get away from there. The versions of torch
    differ in what their clamp lets through at its ends.
    """
    unclipped = torch.addcmul(x0, δ, G)
    torch.clamp(unclipped, 0, 1, out=x)
    return unclipped.ne_(x).bool()


def _evaluate(
    net: PassCounter, x: Tensor, problem: Problem, method: Method, backward: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits, λ1 L (n,) and its gradient with respect to x, of every pair by itself."""
    with torch.set_grad_enabled(backward):
        x = x.detach().requires_grad_(backward)
        logits = net(x)
        value = problem.λ * method.loss(problem.goal.margins(logits))
    g = loss_gradient(value, x) if backward else None
    return logits.detach(), value.detach(), g
