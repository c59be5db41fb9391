"""kFool: DeepFool's step for a ranking, from the top true label to the k others on top (Tursynbek et al., 2022)."""

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_choice, check_counts, check_inputs
from flipbook.goals import INF, Goal, TopKExcludes

PUSHED = ("current", "start")
RELEASED = {"pushed": "start", "overshoot": 0.0}  # TkML's program, which MASW's comparison and kUAP run


@attack
def kfool(
    model,
    images: Tensor,
    goal: Goal,
    *,
    pushed: str = "current",
    max_iterations: int = 300,
    overshoot: float = 0.02,
) -> AttackResult:
    """Repeat x <- clip(x + (1 + overshoot) |a| W / |W|) until no true label is among the k with the largest logits.

    With m the true label of largest logit, p_1 .. p_k the k other labels of largest logit, true ones too, and
    d_i = ∇(z_{p_i} - z_m),

        W = Σ d_i / |d_i|,      a = Σ (z_{p_i} - z_m) / |d_i|.

    With k = 1 this is DeepFool's step to where m and the runner-up tie.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `TopKExcludes`.
    pushed : {"current", "start"}
        Which true label is m: the highest now, or the one that was highest on the image given. "start" is the released
        program's, which goes on pushing it down when another true label is still on top: on pictograms20-resnet, k = 3,
        its perturbations are twice as long.
    max_iterations : int
        T.
    overshoot : float
        Share by which a step goes further, DeepFool's by default; the comparisons have 0. With k = 1 a step ends on a
        tie, which only rounding breaks.

    Returns
    -------
    AttackResult
        No ball bounds the perturbation. `iterations` is the number of steps made. Passes: 1 forward to look at the
        clean images, 1 forward and k backward a step, 1 forward to look at the last one. An image that leaves has made
        the backward passes of its last iterate too.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, another goal and hyper-parameters out of range.

    Notes
    -----
    The method is for one true label; the form for several is TkML's released program (Hu et al., ICCV 2021), which
    MASW's uses too, `pushed="start"` and `overshoot=0`: one true label is pushed an iteration, terms of a differ in
    sign where labels are above and below m, and a true label may be what m is pushed towards, so that with k = 1 two
    true labels can take turns for ever. Two deviations. That program steps in tanh space along a gradient with respect
    to the image, which lacks the derivative of tanh; here steps are in image space. It takes ties for success; here
    they are none, and an image leaves when a step changes nothing. What a goal asks of the threshold is not worked for.
    """
    check_inputs(model, images, goal)
    if not isinstance(goal, TopKExcludes):
        raise ValueError(f"kfool works on TopKExcludes, not on {type(goal).__name__}: give that goal")
    check_choice("pushed", pushed, PUSHED)
    check_counts(max_iterations=max_iterations)
    check_at_least(0, overshoot=overshoot)
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    goal, x0 = goal[best.rows], images[best.rows].detach()
    x, m = x0, None if not len(x0) else _top(goal, best.logits[best.rows])
    for v in range(max_iterations + 1):
        if not len(x):
            break
        last = v == max_iterations
        with torch.set_grad_enabled(not last):
            x = x.detach().requires_grad_(not last)
            logits = net(x)
        z = logits.detach()
        best.update(x.detach(), goal.violations(z), l2_norm(x.detach() - x0), v, 2 + v * (1 + goal.k))
        if last:
            break
        m = _top(goal, z) if pushed == "current" else m
        moved = (x.detach() + (1 + overshoot) * _step(goal.k, m, logits, x)).clamp_(0, 1)
        going = (moved - x.detach()).flatten(1).abs().amax(dim=1) > 0  # not where it is NaN
        stays = (going & ~goal.ranking.reached(z)).nonzero().flatten()
        x = moved
        if len(stays) < len(x):
            best.keep(stays)
            goal, x0, x, m = (each[stays] for each in (goal, x0, x, m))
    return best.result()


def _top(goal: TopKExcludes, logits: Tensor) -> Tensor:
    """The true label of largest logit, (n, 1)."""
    return logits.masked_fill(~goal.present, -INF).argmax(dim=1, keepdim=True)


def _step(k: int, m: Tensor, logits: Tensor, x: Tensor) -> Tensor:
    """|a| W / |W|, like x, in k backward passes of which only sums are kept; 0 where every d_i is 0 or they cancel."""
    z = logits.detach()
    others = z.scatter(1, m, -INF).argsort(dim=1, descending=True, stable=True)[:, :k]
    W, a = torch.zeros_like(x), z.new_zeros(len(z))
    for i in range(k):
        p = others[:, i : i + 1]
        cotangent = torch.zeros_like(z).scatter_(1, p, 1.0).scatter_(1, m, -1.0)
        (d,) = torch.autograd.grad(logits, x, cotangent, retain_graph=i < k - 1)
        inverse = _inverse(l2_norm(d))
        W.add_(d * batch_view(inverse, d))
        a += (z.gather(1, p) - z.gather(1, m)).squeeze(1) * inverse
    return W * batch_view(a.abs() * _inverse(l2_norm(W)), W)


def _inverse(norm: Tensor) -> Tensor:
    """1 / norm, and 0 where the norm is 0 or too small to be inverted."""
    return torch.where(norm > torch.finfo(norm.dtype).tiny, 1 / norm, 0.0)
