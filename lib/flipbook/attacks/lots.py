"""LOTS: move the logits to where images of the target have theirs (Rozsa, Günther, Boult 2017)."""

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.best_so_far import BestSoFar
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_counts, check_inputs, check_positive
from flipbook.goals import Goal


@attack
def lots(
    model,
    images: Tensor,
    goal: Goal,
    *,
    target_logits: Tensor,
    max_iterations: int = 2000,
    step: float = 1 / 255,
) -> AttackResult:
    """Descend ½ ||τ - z(x)||² on grey levels until the goal is reached:  x <- clip(round(255 x)/255 - step · g/max|g|).

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Decides when an image is done; the descent knows only τ.
    target_logits : Tensor (N, C)
        τ, the wanted logits of every image: the mean over images that already show its target, 20 of them for a label
        vector, 50 for a class of an output code in the JMA paper.
    max_iterations : int
        n_it,max.
    step : float
        Largest change of a pixel in one step, in [0, 1] units.

    Returns
    -------
    AttackResult
        The first success; distortion is not minimised. `iterations` is the number of steps to the returned image.
        Passes: 1 forward and 1 backward a step, 1 forward to look at the clean images and 1 at the last iterate.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, a τ that does not fit, and hyper-parameters out of range.

    Notes
    -----
    JMA's Eq. 7 is written for images in 0..255; taken literally on [0, 1] its step is 255 times too large. The paper's
    stopping distance has no value, so the goal itself stops the descent.
    """
    check_inputs(model, images, goal)
    check_counts(max_iterations=max_iterations)
    check_positive(step=step)
    net = PassCounter(model, images)
    best = BestSoFar(net, images, goal)
    _check_target(target_logits, best.logits)
    goal, x0, τ = (each[best.rows] for each in (goal, images.detach(), target_logits.to(images)))
    x = x0
    for v in range(max_iterations + 1):
        last = v == max_iterations
        if not len(x):
            break
        with torch.set_grad_enabled(not last):
            x = x.detach().requires_grad_(not last)
            logits = net(x)
        violations = goal.violations(logits.detach())
        best.update(x.detach(), violations, l2_norm(x.detach() - x0), v, 2 * v + 2)
        if last:
            break
        (g,) = torch.autograd.grad(logits, x, (logits - τ).detach())
        largest = g.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(g.dtype).tiny)
        x = ((x.detach() * 255).round() / 255 - g * batch_view(step / largest, g)).clamp(0, 1)  # JMA, Eq. 7
        # An image leaves at its first success. Asking for it waits for the device, but saves it the next two passes.
        going = (violations > 0).nonzero().flatten()
        if len(going) < len(x):
            best.keep(going)
            goal, x0, τ, x = (each[going] for each in (goal, x0, τ, x))
    return best.result()


def _check_target(target_logits: Tensor, logits: Tensor) -> None:
    if len(logits) and target_logits.shape != logits.shape:
        raise ValueError(
            f"target_logits has shape {tuple(target_logits.shape)}, "
            f"the model gives {tuple(logits.shape)}: make them equal"
        )
    if not torch.isfinite(target_logits).all():
        raise ValueError("target_logits holds NaN or infinite values: take finite logits of example images")
