"""StrAttack (Xu et al. 2019): sparse by groups of pixels, with the alternating direction method of multipliers."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.losses import hinge
from flipbook.attacks.engines.penalty_search import penalise
from flipbook.attacks.engines.weight_search import WeightSearch
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_counts, check_inputs, check_positive
from flipbook.goals import Goal

LARGEST = 0.5  # bound on the change of an entry, besides the box


@attack
def strattack(
    model,
    images: Tensor,
    goal: Goal,
    *,
    initial_const: float = 1.0,
    search_steps: int = 6,
    max_iterations: int = 2000,
    more_iterations: int = 1000,
    rho: float = 15.0,
    tau: float = 3.0,
    gamma: float = 2.0,
    alpha: float = 5.0,
    kappa: float = 0.0,
    group: int = 2,
    refine_const: float = 5.0,
    refine_steps: int = 8,
    refine_iterations: int = 400,
    refine_quantile: float = 0.03,
) -> AttackResult:
    """Minimise c max(0, κ - min margin) + γ||δ||²₂ + τ Σ_groups ||δ_g||₂ in the box, searching c for each image.

    Then refine: the smallest entries of the best perturbation are frozen at 0 and the others optimised for the L2 norm
    alone, with a search for c of its own.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any: works on its margins.
    initial_const, refine_const : float
        c of the first search and of the first refinement; times 5 until one succeeds, bisected from then on.
    search_steps, max_iterations, more_iterations : int
        Number of searches (values of c) and their iterations; each has `more_iterations` more than the one before.
    rho : float
        ρ, penalty on the disagreement of the copies of the perturbation.
    tau, gamma : float
        τ >= 0 makes for fewer groups, γ >= 0 for a small L2 norm.
    alpha : float
        α, the linearised step is 1/(α √iteration).
    kappa : float
        κ >= 0, margin with which the goal must be reached.
    group : int
        Side of a group in pixels; it holds all their channels. Groups at the border are cut. Published: 2 for images
        of up to 32 x 32, 13 for 299 x 299.
    refine_steps, refine_iterations : int
        Number of refinements and their iterations; 0 steps for none.
    refine_quantile : float
        A refinement freezes the entries up to this quantile of the image's changed entries, at its start and whenever
        it has found a shorter perturbation.

    Returns
    -------
    AttackResult
        The success of smallest L2 norm. `iterations` counts those of all searches and refinements up to it. Passes: 2
        forward and 1 backward an iteration of a search, 1 and 1 of a refinement, which only images with a success
        have, and 1 forward to look at the clean images.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Xu et al. 2019, Eqs. 10-11, 17-18 and 21-22, with the defaults of their released program. From it, not from the
    text: the more iterations of later searches, the doubled weight of the copy δ in the z-step, γ/100 in the
    refinement and its denominator α + 2ρ. Deviations from it: what is tested is clipped to the box; the quantile is
    taken for each image, not over the batch; a search counts as a success also when its norm is no record; groups cover
    the border.
    """
    check_inputs(model, images, goal)
    check_positive(initial_const=initial_const, rho=rho, alpha=alpha, refine_const=refine_const)
    check_counts(
        search_steps=search_steps, max_iterations=max_iterations, group=group, refine_iterations=refine_iterations
    )
    check_counts(0, more_iterations=more_iterations, refine_steps=refine_steps)
    check_at_least(0, tau=tau, gamma=gamma, kappa=kappa)
    if not 0 <= refine_quantile < 1:
        raise ValueError(f"refine_quantile is {refine_quantile}: it must be in [0, 1)")
    pairs = _Pairs(BestSoFar(PassCounter(model, images), images, goal), images, goal, kappa)
    lengths = [max_iterations + run * more_iterations for run in range(search_steps)]
    _search(pairs, lengths, initial_const, rho, tau, gamma, alpha, group)
    pairs.keep_successes()
    _refine(pairs, refine_steps * [refine_iterations], refine_const, rho, gamma, alpha, refine_quantile)
    return pairs.best.result()


class _Pairs:
    """The images at work, all in lock-step, and what has been made for each of them."""

    def __init__(self, best: BestSoFar, images: Tensor, goal: Goal, κ: float):
        self.best, self.goal, self.x0, self.κ = best, goal[best.rows], images[best.rows].detach(), κ
        self.low, self.high = (-self.x0).clamp(min=-LARGEST), (1 - self.x0).clamp(max=LARGEST)  # of the change
        self.iterations, self.passes = 0, 1

    def slope(self, change: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of x0 + change, and the gradient of c max(0, κ - min margin) there."""
        self.passes += 2
        x = self.x0 + change
        logits, _, _, gradient = penalise(self.best.net, x, self.goal, lambda m: hinge(m, self.κ), c)
        return logits, gradient

    def look(self, change: Tensor) -> Tensor:
        """Logits of x0 + change."""
        self.passes += 1
        with torch.no_grad():
            return self.best.net(self.x0 + change)

    def test(self, change: Tensor, logits: Tensor) -> Tensor:
        """Record what a change comes to; return which are successes, (n,)."""
        violations, below_margin = self.goal.violations(logits), self.goal.margins(logits).amin(dim=1) < self.κ
        self.best.update(self.x0 + change, violations, l2_norm(change), self.iterations, self.passes, below_margin)
        return (violations == 0) & ~below_margin

    def closest(self) -> Tensor:
        """Change of the closest attempt so far."""
        return self.best.closest - self.x0

    def keep_successes(self) -> None:
        """Let all images without a success leave."""
        stays = self.best.result().reached[self.best.rows].nonzero().flatten()
        self.best.keep(stays)
        self.goal, self.x0, self.low, self.high = (e[stays] for e in (self.goal, self.x0, self.low, self.high))


def _search(pairs: _Pairs, lengths: list[int], c: float, ρ: float, τ: float, γ: float, α: float, group: int) -> None:
    """Split the perturbation z into copies for the L2 norm (δ), the box (w) and the groups (y), with duals u, s and v.

    Kept are a = z - u, b = z - s and d = z - v in place of the duals: the copies are δ = ρ/(ρ+2γ) a, w = clip(b) and
    y = shrink(d), the z-step needs u + δ = z - a + δ and the like, and so do the next a = 2z - (u + δ), b and d.
    """
    const = WeightSearch.start(pairs.x0.new_full((len(pairs.x0),), c))
    for length in lengths if len(pairs.x0) else []:
        z, a, b, d = (torch.zeros_like(pairs.x0) for _ in range(4))
        found = torch.zeros_like(const.weight, dtype=torch.bool)
        for i in range(length):
            pairs.iterations += 1
            _, g = pairs.slope(z, const.weight)
            y = _shrink(d, group, τ / ρ)  # Eq. 17
            sum_δ = torch.sub(z, a, alpha=2 * γ / (ρ + 2 * γ))  # δ + u, Eq. 10
            sum_w = torch.clamp(b, pairs.low, pairs.high).sub_(b).add_(z)  # w + s, Eq. 11
            sum_y = torch.sub(y, d).add_(z)  # y + v
            η = α * math.sqrt(i + 1)
            z.mul_(η).add_(sum_δ, alpha=2 * ρ).add_(sum_w, alpha=ρ).add_(sum_y, alpha=ρ).sub_(g).div_(η + 4 * ρ)
            a, b, d = (torch.add(total.neg_(), z, alpha=2) for total in (sum_δ, sum_w, sum_y))
            change = (pairs.x0 + y).clamp_(0, 1).sub_(pairs.x0)
            found |= pairs.test(change, pairs.look(change))
        const = const.after(found, growth=5)


def _refine(pairs: _Pairs, lengths: list[int], c: float, ρ: float, γ: float, α: float, quantile: float) -> None:
    """Minimise the norm over the entries that are not frozen, with two copies: δ in the box and z (Eqs. 21, 22)."""
    const = WeightSearch.start(pairs.x0.new_full((len(pairs.x0),), c))
    for length in lengths if len(pairs.x0) else []:
        z = pairs.closest()
        smallest = batch_view(_quantile_of_changed(z, quantile), z)
        u, found = torch.zeros_like(z), torch.zeros_like(const.weight, dtype=torch.bool)
        for _ in range(length):
            pairs.iterations += 1
            free = pairs.closest().abs() > smallest  # what has become so small in a new record is frozen, too
            δ = torch.clamp((z - u).mul_(ρ / (ρ + γ / 100)), pairs.low, pairs.high).mul_(free)
            logits, g = pairs.slope(δ, const.weight)
            found |= pairs.test(δ, logits)
            z = z.mul_(α).add_(δ + u, alpha=ρ).sub_(g).mul_(free).div_(α + 2 * ρ)
            u += δ - z
        const = const.after(found, growth=5)


def _shrink(d: Tensor, group: int, threshold: float) -> Tensor:
    """Shorten every group of d by `threshold` in L2 norm, to 0 where it is shorter: the proximal map of Σ ||d_g||."""
    squares = avg_pool2d(d.square().sum(dim=1, keepdim=True), group, ceil_mode=True, divisor_override=1)
    tiny = torch.finfo(d.dtype).tiny
    factor = (1 - threshold / squares.sqrt_().clamp_(min=tiny)).clamp_(min=0)
    return d * interpolate(factor, scale_factor=group)[:, :, : d.shape[2], : d.shape[3]]


def _quantile_of_changed(change: Tensor, quantile: float) -> Tensor:
    """Quantile of the sizes of the non-zero entries of each image, interpolated, (n,)."""
    size = change.flatten(1).abs().sort(dim=1).values  # torch.nanquantile refuses more than 16 million entries
    zeros = (size == 0).sum(dim=1)
    place = zeros + quantile * (size.shape[1] - 1 - zeros).double()
    below = place.floor().long()
    low, high = (size.gather(1, at[:, None]).squeeze(1) for at in (below, place.ceil().long()))
    return low + (high - low) * (place - below).to(low)
