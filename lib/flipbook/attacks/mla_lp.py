"""MLA-LP: all labels' losses linearised, the flattest step by linear programming (Zhou et al. 2020)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.gradients import row_gradients
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_choice, check_counts, check_inputs, check_positive
from flipbook.goals import INF, Constraints, Goal, HideLabels, LabelVector, equally_many
from flipbook.solvers.minimax_lp import solve_minimax_lp

RESTS = ("free", "kept")
LOWERS = ("each", "all")
SURE = 0.6  # released rule: a label with less than this probability counts as about to go
LOWEST_P = 1e-6  # probabilities are clamped to [LOWEST_P, 1 - LOWEST_P] in the losses


@attack
def mla_lp(
    model,
    images: Tensor,
    goal: Goal,
    *,
    rest: str = "free",
    lower: str = "each",
    max_iterations: int = 100,
    lowering: float = 0.05,
    lowest_threshold: float = 0.1,
    chunk: int = 32,
) -> AttackResult:
    """Step by the r of smallest maximum that brings every label's linearised cross-entropy under its threshold.

    With p_j the probability of the wanted side of label j and L_j = -log p_j, an iteration solves

        minimise s   subject to   ∇L_j(x)ᵀ r <= ℓ_j - L_j(x) for all j,   |r_i| <= s <= 1,      ℓ_j = -log(1 - c_j),

    and sets x <- clip(x + r). The thresholds c_j start at 0.5, the decision. A label that was to be flipped and is
    still on its old side after a step has its threshold lowered, so that the next programme asks for more.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `LabelVector` or `HideLabels`, p = sigmoid z; `ClassTarget` with a codebook: bit by bit, p = (1 + tanh z) / 2;
        without one the target's lead over every other class takes the place of labels. A top-k goal: the labels of Y
        off, those of Y_t on; it decides success, and an image leaves when it is reached, or when all these labels are
        on their sides and no programme asks for more, whatever the ranking.
    rest : {"free", "kept"}
        What becomes of labels that neither a `HideLabels` nor a top-k goal names: nothing, or each has a constraint to
        stay on the side where the clean image has it. MASW's comparison keeps them, for 300 iterations at most.
    lower : {"each", "all"}
        Whose threshold is lowered after a step. "each": that of every label that is still on its old side. "all": the
        released program as its drivers call it, all of them or none. They are lowered where the probabilities of all
        labels are below 0.6, or none is below its clean value, which hardly ever happens; so that labels stay just
        short of their thresholds and few images succeed. For a label to be switched on it then asks for less, not more.
    max_iterations : int
        n_it,max: 100 for labels, 1000 to 3000 for ECOC in JMA's tables.
    lowering : float
        What a threshold loses at a time.
    lowest_threshold : float
        Where lowering ends, in (0, 0.5].
    chunk : int
        Images worked on together; bounds the memory to `chunk` Jacobians. Results do not depend on it.

    Returns
    -------
    AttackResult
        `iterations` is the number of programmes solved up to the returned image. Passes an iteration: n backward, n the
        labels that the goal constrains, and 2 forward (the linearisation and the look at the step); 1 forward at the
        start.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    The paper sketches the iteration; the rest follows its authors' program: the iterate with most matching labels is
    kept, an iterate with fewer sends the image back to its clean start, and an image is given up when its programme is
    infeasible, or neither its logits nor a threshold change. It is also given up when it goes back to the start with
    the thresholds that it left with, since all that follows would repeat. Gradients are not cut off where a
    probability is clamped: a label beyond would have none, and its programme no solution. The programmes are solved
    one image at a time on the host; each is small (`solve_minimax_lp`).
    """
    check_inputs(model, images, goal)
    check_choice("rest", rest, RESTS)
    check_counts(max_iterations=max_iterations, chunk=chunk)
    check_positive(lowering=lowering)
    if not 0 < lowest_threshold <= 0.5:
        raise ValueError(f"lowest_threshold is {lowest_threshold}: it must lie in (0, 0.5]")
    rule = _Lowering(lower, lowering, lowest_threshold)
    parts = [slice(i, i + chunk) for i in range(0, max(len(images), 1), chunk)]
    return AttackResult.join([_attack(model, images[i].detach(), goal[i], rest, rule, max_iterations) for i in parts])


@dataclass(frozen=True)
class _Lowering:
    """When thresholds are lowered, by how much and down to where; see `mla_lp`."""

    lower: str
    by: float
    least: float

    def __call__(self, c: Tensor, aim: Goal, attacked: Tensor, logits: Tensor, clean: Tensor) -> Tensor:
        """The thresholds c (n, M) after a step to `logits`; `attacked` (n, M) marks what was missed at `clean`."""
        lowered = (c - self.by).clamp(min=self.least)
        if self.lower == "each":
            return torch.where(attacked & (aim.margins(logits) <= 0), lowered, c)
        wants_on = aim.signs > 0 if isinstance(aim, LabelVector | HideLabels) else torch.zeros_like(attacked)
        lowered = torch.where(wants_on, (c + self.by).clamp(max=1 - self.least), lowered)
        at, before = (_presence(aim, z, wants_on) for z in (logits, clean))
        unsure = ((at < SURE) | at.isnan()).all(dim=1) | ((at >= before) | at.isnan()).all(dim=1)
        return torch.where(unsure[:, None], lowered, c)


def _attack(model, images: Tensor, goal: Goal, rest: str, rule: _Lowering, max_iterations: int) -> AttackResult:
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    if not len(best.rows):
        return best.result()
    aim = goal.per_label()
    if rest == "kept" and isinstance(aim, HideLabels):
        aim = _with_the_rest(aim, best.logits > 0)
    sharpness = 1.0 if getattr(goal, "codebook", None) is None else 2.0  # (1 + tanh z) / 2 = sigmoid(2 z)
    start = aim.margins(best.logits)
    attacked, fewest, c = start <= 0, aim.violations(best.logits), torch.full_like(start, 0.5)
    c_at_start, x, exist = c.clone(), images.clone(), aim.constraints(best.logits).exist

    for v in range(1, max_iterations + 1):
        rows = best.rows
        r, s, logits = _steps(net, rows, x[rows], aim[rows], c[rows], exist[rows], sharpness)
        candidate = (x[rows] + r).clamp(0, 1)
        with torch.no_grad():
            new_logits = net.focus(rows)(candidate)
        violations, wrong = goal[rows].violations(new_logits), aim[rows].violations(new_logits)
        best.update(candidate, violations, l2_norm(candidate - images[rows]), v, net.total[rows])

        back = wrong > fewest[rows]
        fewest[rows] = torch.minimum(wrong, fewest[rows])
        x[rows] = torch.where(batch_view(back, x), images[rows], candidate)
        lowered = rule(c[rows], aim[rows], attacked[rows], new_logits, best.logits[rows])
        standstill = (new_logits == logits).all(dim=1) & (lowered == c[rows]).all(dim=1)
        c[rows] = lowered
        repeats = back & (lowered == c_at_start[rows]).all(dim=1)
        c_at_start[rows] = torch.where(back[:, None], lowered, c_at_start[rows])
        best.keep((violations > 0) & s.isfinite() & ~standstill & ~repeats)
        if not len(best.rows):
            break
    return best.result()


def _with_the_rest(aim: HideLabels, on: Tensor) -> HideLabels:
    """The goal with every free label on the side where it is."""
    free = ~(aim.hidden | aim.kept)
    return HideLabels(aim.hidden | (free & ~on), aim.kept | (free & on))


def _presence(aim: Goal, logits: Tensor, wants_on: Tensor) -> Tensor:
    """Probability of each label that the goal constrains, NaN for the others, (n, M); of a lead that it is missed."""
    m = aim.margins(logits)
    return torch.where(m == INF, torch.nan, torch.where(wants_on, m, -m).sigmoid())


def _steps(
    net: PassCounter, rows: Tensor, x: Tensor, aim: Goal, c: Tensor, exist: Tensor, sharpness: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The step of every image, like x, its largest entry s (n,), inf where there is none, and the logits at x."""
    r, s = torch.zeros_like(x), torch.zeros(len(x), dtype=torch.float64, device=x.device)
    logits = None
    for part, existing in equally_many(exist):
        with torch.enable_grad():
            pixels = x[part].detach().requires_grad_()
            z = net.focus(rows[part])(pixels)
        logits = z.new_empty(len(x), z.shape[1]) if logits is None else logits
        logits[part] = z.detach()
        G, β = _programme(net, z, pixels, aim[part], c[part], existing, sharpness)
        step, s[part] = solve_minimax_lp(G, β)
        r[part] = step.view_as(pixels)
    return r, s, logits


def _programme(
    net: PassCounter, logits: Tensor, x: Tensor, aim: Goal, c: Tensor, existing: Tensor, sharpness: float
) -> tuple[Tensor, Tensor]:
    """Gradients of the losses (n, k, pixels) and the room under their thresholds (n, k), for the existing rows."""
    A = aim.constraints(logits.detach()).pick(existing)
    m = sharpness * aim.margins(logits.detach()).gather(1, existing)
    L = softplus(-m).clamp(-math.log1p(-LOWEST_P), -math.log(LOWEST_P))  # -log sigmoid(m)
    slope = -sharpness * torch.sigmoid(-m)
    G = row_gradients(net, logits, x, Constraints(A.labels, slope[:, :, None] * A.weights, A.offsets)).flatten(2)
    return G, -torch.log1p(-c.gather(1, existing)) - L
