"""MI-FGSM: steps along accumulated gradients (Dong et al., CVPR 2018), in the form of MASW's comparison."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.attacks._ball import default_radius, descend
from flipbook.attacks._batch import batch_view, l2_norm
from flipbook.attacks._label_loss import LabelLoss
from flipbook.checks import check_positive
from flipbook.goals import Goal
from flipbook.perturbed import Perturbed


def mi_fgsm(
    model,
    images: Tensor,
    goal: Goal,
    *,
    step: float = 0.015,
    max_iterations: int = 40,
    radius: float | None = None,
    leave: bool = True,
    trace: tuple[str, ...] = (),
) -> Perturbed:
    """Repeat m <- m + ∇L/||∇L||₁, δ <- Π(δ - step · m/||m||₂), Π onto the ball of radius τ and then the box.

    The path is at most max_iterations · step long, with the defaults 0.6: shorter than either radius.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any; `fgsm` says which loss L each kind has.
    step : float
        L2 length of a step, in [0, 1] units (0.03 on the paper's [-1, 1]).
    max_iterations : int
        T.
    radius : float, optional
        τ, as for `fgsm`.
    leave : bool
        Whether an image leaves at its first success; else it goes on, and its smallest success counts.
    trace : tuple of str
        "loss" keeps L, "step" the L2 norm of the step before it is projected, (N, T + 1) each.

    Returns
    -------
    Perturbed
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    The momentum does not decay and the step is a unit vector, not a vector of signs: so does the program of MASW's
    authors, unlike Dong's. There all 40 steps are made untargeted and the first success ends a targeted run; here one
    rule holds for both and for every other attack of the comparison, the first success. A gradient that is 0 adds
    nothing to the momentum.
    """
    check_positive(step=step)
    return descend(
        model,
        images,
        goal,
        lambda _: LabelLoss(goal.bitwise()),
        lambda x: _Accumulated(torch.zeros_like(x), step),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        leave=leave,
        trace=trace,
    )


@dataclass(frozen=True)
class _Accumulated:
    """The step, and the momentum m (n, channels, H, W) of each image."""

    m: Tensor
    size: float

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        tiny = torch.finfo(g.dtype).tiny
        self.m.add_(g.div_(batch_view(g.flatten(1).abs().sum(dim=1).clamp(min=tiny), g)))
        return δ.sub_(self.m * batch_view(self.size / l2_norm(self.m).clamp(min=tiny), δ))

    def __getitem__(self, index: Tensor) -> "_Accumulated":
        return replace(self, m=self.m[index])
