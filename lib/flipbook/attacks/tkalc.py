"""TkALC, our adaptation: TkML with the correlation of labels in its loss (after a method of ICIP 2023)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.tkml import targeted_loss, untargeted_loss
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_at_least, check_positive
from flipbook.goals import Goal, TopKEquals, TopKExcludes, check_top_k


@attack
def tkalc(
    model,
    images: Tensor,
    goal: Goal,
    *,
    correlation: Tensor,
    beta: float = 0.1,
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    stop_on_success: bool | None = None,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - lr ∇L), Π onto the ball of radius τ and then the box. **Not the published method**: see Notes.

    With R_ij = P(label i | label j), L_TkML the loss of `tkml` and the averages weighted by R, the loss of an image is

        untargeted   L = L_TkML + β · average of z_i over i not in Y with weights Σ_{j in Y} R_ij,
        targeted     L = L_TkML - β · average of z_i over i not in Y with weights Σ_{t in Y_t} R_it,

    so that companions of the true labels go down with them, or companions of the targets rise with them.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `TopKExcludes` (untargeted) or `TopKEquals` (targeted).
    correlation : Tensor (C, C)
        R, in [0, 1], from `correlations` of the training labels; its diagonal does not count.
    beta : float
        β, at least 0; 0 is `tkml`.
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
        For inputs that `check_inputs` refuses, another goal, an R that does not fit and hyper-parameters out of range.

    Notes
    -----
    Deviation: the paper that defines TkALC was not available, and MASW, which compares it, says only that it brings the
    correlation of labels into the losses of other attacks, TkML's among them. Term, normalisation and β are ours; the
    numbers show what such a term does, not what TkALC does.
    """
    check_top_k("tkalc", goal)
    check_positive(learning_rate=learning_rate)
    check_at_least(0, beta=beta)
    untargeted = isinstance(goal, TopKExcludes)
    return descend(
        model,
        images,
        goal,
        lambda x: _Correlated(_companions(goal, correlation.to(x)), beta),
        lambda _: Plain(learning_rate),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=untargeted if stop_on_success is None else stop_on_success,
        trace=trace,
    )


def correlations(labels: Tensor) -> Tensor:
    """P(label i | label j) among images with these labels (N, C) of 0 and 1, as (C, C), 0 on the diagonal.

    The column of a label that no image has is 0.
    """
    present = labels.double()
    together = present.T @ present
    return (together / together.diagonal().clamp(min=1)).fill_diagonal_(0)


def _companions(goal: TopKExcludes | TopKEquals, R: Tensor) -> Tensor:
    """Weights (N, C) of labels outside Y by their correlation with Y, or minus that with the targets; sums ±1 or 0."""
    _check_correlation(R, goal.present.shape[1])
    targeted = isinstance(goal, TopKEquals)
    anchors = goal.target if targeted else goal.present
    weights = (anchors.to(R) @ R.clone().fill_diagonal_(0).T).masked_fill(goal.present, 0)
    weights /= weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(R.dtype).tiny)
    return -weights if targeted else weights


@dataclass(frozen=True)
class _Correlated:
    """The objective, and the weights (n, C) of the labels' logits in its second term."""

    weights: Tensor
    beta: float

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        ranked = untargeted_loss if isinstance(goal, TopKExcludes) else targeted_loss
        value = ranked(goal, logits) + self.beta * (self.weights * logits).sum(dim=1)
        return value, {"loss": value.detach()}

    def __getitem__(self, index: Tensor) -> "_Correlated":
        return replace(self, weights=self.weights[index])


def _check_correlation(correlation: Tensor, width: int) -> None:
    if correlation.shape != (width, width):
        raise ValueError(
            f"correlation has shape {tuple(correlation.shape)}: give ({width}, {width}), one row and column a label"
        )
    if not ((correlation >= 0) & (correlation <= 1)).all():
        raise ValueError("correlation has entries outside [0, 1]: give conditional probabilities, see correlations")
