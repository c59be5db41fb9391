"""MLA-LP: all labels' losses linearised, the flattest step by linear programming (Zhou et al. 2020)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from flipbook.attacks._batch import batch_view, l2_norm
from flipbook.attacks._record import Record
from flipbook.checks import check_choice, check_counts, check_inputs, check_positive
from flipbook.goals import Goal, HideLabels
from flipbook.gradients import row_gradients
from flipbook.passes import Counted
from flipbook.perturbed import Perturbed
from flipbook.solvers.minimax_lp import solve_minimax_lp

RESTS = ("free", "kept")
LOWEST_P = 1e-6  # probabilities are clamped to [LOWEST_P, 1 - LOWEST_P] in the losses


def mla_lp(
    model,
    images: Tensor,
    goal: Goal,
    *,
    rest: str = "free",
    max_iterations: int = 100,
    lowering: float = 0.05,
    lowest_threshold: float = 0.1,
    chunk: int = 32,
) -> Perturbed:
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
    Perturbed
        `iterations` is the number of programmes solved up to the returned image. Passes an iteration: n backward and 2
        forward (the linearisation and the look at the step), and 1 forward at the start.

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
    parts = [slice(i, i + chunk) for i in range(0, max(len(images), 1), chunk)]
    return Perturbed.join(
        [_attack(model, images[i].detach(), goal[i], rest, max_iterations, lowering, lowest_threshold) for i in parts]
    )


def _attack(
    model, images: Tensor, goal: Goal, rest: str, max_iterations: int, lowering: float, lowest_threshold: float
) -> Perturbed:
    net = Counted(model, images)
    record = Record(net, images, goal)
    if not len(record.rows):
        return record.result()
    aim = goal.bitwise()
    if rest == "kept" and isinstance(aim, HideLabels):
        aim = _with_the_rest(aim, record.logits > 0)
    sharpness = 1.0 if getattr(goal, "codebook", None) is None else 2.0  # (1 + tanh z) / 2 = sigmoid(2 z)
    start = aim.margins(record.logits)
    attacked, fewest, c = start <= 0, aim.distance(record.logits), torch.full_like(start, 0.5)
    c_at_start, x = c.clone(), images.clone()

    for v in range(1, max_iterations + 1):
        rows = record.rows
        G, β, logits = _linearise(net, x[rows], aim[rows], c[rows], sharpness)
        r, s = solve_minimax_lp(G, β)
        candidate = (x[rows] + r.view_as(images[rows])).clamp(0, 1)
        with torch.no_grad():
            new_logits = net(candidate)
        distance, wrong = goal[rows].distance(new_logits), aim[rows].distance(new_logits)
        passes = 1 + v * (G.shape[1] + 2)
        record.update(candidate, distance, l2_norm(candidate - images[rows]), v, passes)

        back = wrong > fewest[rows]
        fewest[rows] = torch.minimum(wrong, fewest[rows])
        x[rows] = torch.where(batch_view(back, x), images[rows], candidate)
        unmoved = attacked[rows] & (aim[rows].margins(new_logits) <= 0)
        lowered = torch.where(unmoved, (c[rows] - lowering).clamp(min=lowest_threshold), c[rows])
        standstill = (new_logits == logits).all(dim=1) & (lowered == c[rows]).all(dim=1)
        c[rows] = lowered
        repeats = back & (lowered == c_at_start[rows]).all(dim=1)
        c_at_start[rows] = torch.where(back[:, None], lowered, c_at_start[rows])
        record.keep((distance > 0) & s.isfinite() & ~standstill & ~repeats)
        if not len(record.rows):
            break
    return record.result()


def _with_the_rest(aim: HideLabels, on: Tensor) -> HideLabels:
    """The goal with every free label on the side where it is."""
    free = ~(aim.hidden | aim.kept)
    return HideLabels(aim.hidden | (free & ~on), aim.kept | (free & on))


def _linearise(net: Counted, x: Tensor, aim: Goal, c: Tensor, sharpness: float) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the losses (n, M, pixels), the room under their thresholds (n, M) and the logits at x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
    A = aim.constraints(logits.detach()).matrix(logits.shape[1])
    m = sharpness * aim.margins(logits.detach())
    L = softplus(-m).clamp(-math.log1p(-LOWEST_P), -math.log(LOWEST_P))  # -log sigmoid(m)
    slope = -sharpness * torch.sigmoid(-m)
    G = row_gradients(net, logits, x, slope[:, :, None] * A).flatten(2)
    return G, -torch.log1p(-c) - L, logits.detach()
