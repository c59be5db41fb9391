"""ML-DeepFool: the least step that puts every label on its side of the linearised model (Song et al., ICDM 2018)."""

import math

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import into_ball
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.gradients import row_gradients
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_choice, check_counts, check_inputs, check_radius
from flipbook.goals import SCORES, Constraints, Goal, equally_many
from flipbook.solvers.nonnegative_qp import gram

MODES = ("all", "violated")
ROWS = ("goal", "labels")
CLOSE = 0.1  # an image leaves when no constraint is further from its margin than this share of it
TIE = 1e-6  # what counts as exactly on a boundary, in units of the scores: rounding turns it to either side


@attack(l2=("bound", "radius"))
def ml_deepfool(
    model,
    images: Tensor,
    goal: Goal,
    *,
    mode: str = "all",
    rows: str = "goal",
    scores: str = "logit",
    margin: float = 0.05,
    damping: float = 1e-6,
    max_iterations: int = 100,
    bound: float = math.inf,
    radius: float = math.inf,
    stop_on_success: bool = False,
    chunk: int = 32,
) -> AttackResult:
    """Repeat x <- clip(x + r) with the r of least norm that brings the linearised constraints to their margin.

    With the goal's constraints A d + b >= 0 on the logits' change d, the Jacobian J and D = A J,

        r = Dᵀ (D Dᵀ + damping tr(D Dᵀ)/K I)⁻¹ (margin - b).

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        With linear constraints. K are the labels that it constrains: `HideLabels` the hidden (and kept) ones only,
        `LabelVector` all, so that the same attack serves as Song et al.'s with and without regard for the others.
        `ClassTarget`: the leads over all other classes, for which "violated" is the sensible mode.
    mode : {"all", "violated"}
        Bring every constrained label to its margin exactly, those beyond it too, or only labels short of it.
    rows : {"goal", "labels"}
        Which constraints: the goal's own, or those of `goal.per_label()`, a side of the threshold a label, while the
        goal still decides success. They differ for top-k goals and output codes.
    scores : {"logit", "probability"}
        What is linearised. Probabilities put a factor sigmoid'(z) on a label's gradient, so that the step for a
        single label is sinh(z) / |∇z| long in place of z / |∇z|.
    margin : float
        What every constraint asks for, in units of the scores; 0 or above.
    damping : float
        Share of the mean diagonal added to the Gram matrix, which labels with parallel gradients make singular.
    max_iterations : int
        Steps at most.
    bound : float
        Largest L2 norm of a perturbation, in [0, 1] units; iterates beyond do not count.
    radius : float
        τ, of an L2 ball that every iterate is brought back to before it is clipped.
    stop_on_success : bool
        Whether an image leaves at its first success.
    chunk : int
        Images worked on together; bounds the memory to `chunk` times K images. Results do not depend on it.

    Returns
    -------
    AttackResult
        The successful iterate of smallest norm. `iterations` is the number of steps to it. Passes a step: 1 backward
        for each label it serves (K, or those short of the margin) and 2 forward (the linearisation and the look at the
        step); and 1 forward at the start.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    The paper's program is not public. An image goes on after a success, as later steps may shorten its perturbation,
    and leaves when all of K are within a tenth of the margin of where the mode wants them, or when its step is zero.
    With `margin=0` it is brought exactly onto the boundaries, where success would be decided by rounding: a margin
    of the goal below 1e-6 counts as not reached.
    GMLA allows a norm of 5000 on grey levels, `bound=5000 / 255`.

    MASW (Su, Wu, Zhu; section V-A) runs it against a ranking with `rows="labels"`: Y is to be off, Y_t on, all exactly
    on the threshold, `mode="all"` and `margin=0`, so that labels of Y which are off already are drawn back to it. Its
    other settings are `radius` 5 untargeted and 1 targeted (10 and 2 on [-1, 1]), `max_iterations=300`,
    `stop_on_success=True` and `scores="probability"`. Logits have the same zeros, and to linearise them instead is
    ours.
    """
    check_inputs(model, images, goal)
    for name, value, choices in (("mode", mode, MODES), ("rows", rows, ROWS), ("scores", scores, SCORES)):
        check_choice(name, value, choices)
    check_counts(max_iterations=max_iterations, chunk=chunk)
    check_radius(bound=bound, radius=radius)
    check_at_least(0, margin=margin, damping=damping)
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    aims = goal if rows == "goal" else goal.per_label()
    x0, goal, aims, x, z = (each[best.rows] for each in (images.detach(), goal, aims, images.detach(), best.logits))
    for v in range(1, max_iterations + 1):
        if not len(x):
            break
        A, t, wanted = _shortfall(aims, z, margin, mode, scores)
        open_ = ((t.abs() > max(CLOSE * margin, TIE)) & wanted).any(dim=1).nonzero().flatten()
        if len(open_) < len(x):
            best.keep(open_)
            x0, goal, aims, x, A, t, wanted = (each[open_] for each in (x0, goal, aims, x, A, t, wanted))
        if not len(x):
            break
        r = _least_steps(net, best.rows, x, A, t, wanted, damping, chunk)
        candidate = (x + r if radius == math.inf else x0 + into_ball(x + r - x0, radius)).clamp(0, 1)
        with torch.no_grad():
            z = net.focus(best.rows)(candidate)
        norm, violations = l2_norm(candidate - x0), _clear_violations(goal, z)
        best.update(candidate, violations, norm, v, net.total[best.rows], counts=norm <= bound)
        stays = (candidate != x).flatten(1).any(dim=1) & norm.isfinite()
        if stop_on_success:
            stays &= (violations > 0) | (norm > bound)
        stays = stays.nonzero().flatten()
        if len(stays) < len(x):
            best.keep(stays)
        x0, goal, aims, x, z = (each[stays] for each in (x0, goal, aims, candidate, z))
    return best.result()


def _clear_violations(goal: Goal, logits: Tensor) -> Tensor:
    """The goal's distance, but a tie is no success: on which side of a boundary rounding leaves it, is chance."""
    violations = goal.violations(logits)
    tied = (goal.margins(logits).abs() < TIE).any(dim=1)
    return torch.where(tied, violations.clamp(min=1), violations)


def _shortfall(goal: Goal, logits: Tensor, margin: float, mode: str, scores: str) -> tuple[Constraints, Tensor, Tensor]:
    """Rows A, what they are to rise by, t (n, M), and which of them the step is asked to serve (n, M)."""
    A = goal.constraints(logits)
    b = A.offsets
    if scores == "probability":
        p = logits.sigmoid()
        b = torch.where(A.exist, A.times_change(p - 0.5), b)
        A = A.times(p * (-logits).sigmoid())
    t = margin - b
    return A, t, (t > 0 if mode == "violated" else A.exist)


def _least_steps(
    net: PassCounter, rows: Tensor, x: Tensor, A: Constraints, t: Tensor, wanted: Tensor, damping: float, chunk: int
) -> Tensor:
    """The step r of every image, like x; 0 where none of its rows is wanted."""
    r = torch.zeros_like(x)
    for part, own in equally_many(wanted, chunk):
        with torch.enable_grad():
            pixels = x[part].requires_grad_()
            logits = net.focus(rows[part])(pixels)
        D = row_gradients(net, logits, pixels, A[part].pick(own)).flatten(2)
        r[part] = _least_norm(D, t[part].gather(1, own), damping).view_as(pixels)
    return r


def _least_norm(D: Tensor, t: Tensor, damping: float) -> Tensor:
    """Dᵀ (D Dᵀ + ridge)⁻¹ t for D (n, k, m) and t (n, k), the system in float64.

    Where there are more rows than pixels it is (Dᵀ D + ridge)⁻¹ Dᵀ t, the same in a system of m unknowns.
    """
    k, m = D.shape[1:]
    wide = k <= m
    Q = gram(D if wide else D.transpose(1, 2))
    ridge = damping * Q.diagonal(dim1=1, dim2=2).sum(dim=1) / k + torch.finfo(torch.float64).tiny
    L, _ = torch.linalg.cholesky_ex(Q + ridge[:, None, None] * torch.eye(Q.shape[1]).to(Q))
    t = t.double()[:, :, None]
    if wide:
        return (torch.cholesky_solve(t, L).transpose(1, 2).to(D) @ D).squeeze(1)
    rhs = sum(d.transpose(1, 2).double() @ u for d, u in zip(D.split(m, dim=1), t.split(m, dim=1), strict=True))
    return torch.cholesky_solve(rhs, L).squeeze(2).to(D)
