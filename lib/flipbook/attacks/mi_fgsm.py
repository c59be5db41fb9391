"""MI-FGSM: steps along accumulated gradients (Dong et al., CVPR 2018)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.label_losses import objective_named
from flipbook.attacks.engines.norm_balls import ball_radius, check_ball
from flipbook.attacks.engines.projected_descent import descend
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.validation import check_at_least, check_counts
from flipbook.goals import Goal


@attack
def mi_fgsm(
    model,
    images: Tensor,
    goal: Goal,
    *,
    norm: str = "linf",
    bound: float | None = None,
    step: float | None = None,
    max_iterations: int = 10,
    decay: float = 1.0,
    loss: str = "goal",
    stop_on_success: bool = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat m <- μ m + ∇L / ||∇L||₁, then δ <- Π(δ - α sign m) in L∞, δ <- Π(δ - α m / ||m||₂) in L2.

    Π is onto the ball and then the box.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    norm, bound, loss
        The ball and what is descended in it, as for `fgsm`.
    step : float, optional
        α, length of a step in the norm, in [0, 1] units; ε / max_iterations by default: a path to the end of the ball.
    max_iterations : int
        T.
    decay : float
        μ, at least 0; 1 keeps every gradient at its full weight.
    stop_on_success : bool
        Whether an image leaves at its first success; else it goes on, and its smallest success counts.
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
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Defaults are the paper's but for ε, 16/255 there. A gradient that is 0 adds nothing to the momentum.

    MASW's comparison has the L2 form with steps that do not share out the ball: norm="l2", step=0.015,
    max_iterations=40, loss="labels", and a bound of 5 where labels are only to go and 1 elsewhere (0.03, 10 and 2 on
    its [-1, 1]), of which a path of 0.6 never sees the end. There all 40 steps are made untargeted and the first
    success ends a targeted run; here one rule holds for both and for every other attack of the comparison, the first
    success.
    """
    check_ball(norm, bound, step)
    check_counts(max_iterations=max_iterations)
    check_at_least(0, decay=decay)
    radius = ball_radius(norm, bound, images)
    size = radius / max_iterations if step is None else step
    return descend(
        model,
        images,
        goal,
        objective_named(loss, goal),
        lambda x: _Accumulated(torch.zeros_like(x), decay, size, norm),
        radius=radius,
        norm=norm,
        max_iterations=max_iterations,
        stop_on_success=stop_on_success,
        trace=trace,
    )


@dataclass(frozen=True)
class _Accumulated:
    """The step, and the momentum m (n, channels, H, W) of each image."""

    m: Tensor
    decay: float
    size: float
    norm: str

    def __call__(self, δ: Tensor, g: Tensor) -> Tensor:
        tiny = torch.finfo(g.dtype).tiny
        self.m.mul_(self.decay).add_(g / batch_view(g.flatten(1).abs().sum(dim=1).clamp(min=tiny), g))
        if self.norm == "linf":
            return δ.sub_(self.m.sign(), alpha=self.size)
        return δ.sub_(self.m * batch_view(self.size / l2_norm(self.m).clamp(min=tiny), δ))

    def __getitem__(self, index: Tensor) -> "_Accumulated":
        return replace(self, m=self.m[index])
