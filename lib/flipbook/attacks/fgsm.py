"""FGSM: one step as far as the ball allows (Goodfellow, Shlens and Szegedy, ICLR 2015)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.label_losses import objective_named
from flipbook.attacks.engines.norm_balls import ball_radius, check_ball
from flipbook.attacks.engines.projected_descent import descend, steps_of
from flipbook.core.attack_result import AttackResult
from flipbook.goals import Goal


@attack
def fgsm(
    model,
    images: Tensor,
    goal: Goal,
    *,
    norm: str = "linf",
    bound: float | None = None,
    step: float | None = None,
    direction: str = "steepest",
    loss: str = "goal",
) -> AttackResult:
    """Take one step down the loss L: δ = -ε sign ∇L in L∞, δ = -ε ∇L / ||∇L||₂ in L2, then clip to [0, 1].

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    norm : {"linf", "l2"}
        Of the ball.
    bound : float, optional
        ε, the largest norm of a perturbation, in [0, 1] units; by default 8/255 in L∞ and 2/255 √n in L2 for images of
        n entries: 0.43 for 32 x 32 pixels, 3.04 for 224 x 224.
    step : float, optional
        Length of the step; ε by default.
    direction : {"steepest", "sign"}
        "sign" moves every entry by `step` in an L2 ball, too; see Notes.
    loss : {"goal", "labels"}
        What L is. "goal", the cross-entropy towards the goal: for a class -log softmax(z)_t, for any other goal
        Σ log(1 + exp(-m)) over its margins m, which is the binary cross-entropy for a label vector and for an output
        code's codeword. "labels", MASW's: Σ_{j in Y} log σ(z_j) - Σ_{t in Y_t} log σ(z_t) with Y the labels that are
        to go and Y_t those that are to come, and for a label vector, a codeword or a class as "goal".

    Returns
    -------
    AttackResult
        The image after the step, or the clean one where the step brings the goal no nearer. `iterations` is 1 where the
        step is kept. Passes: 1 forward to look at the clean image, 1 forward and 1 backward for the step, 1 forward to
        look at the result.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Published for classes, untargeted: there it ascends the loss of the true class, where a goal's loss is descended.

    MASW's comparison has its own form: norm="l2", direction="sign", step=0.015, loss="labels", and a bound of 5 where
    labels are only to go and 1 elsewhere (0.03, 10 and 2 on its [-1, 1]). A sign step of n pixels has norm step · √n;
    where that exceeds the bound, the whole perturbation is scaled back, so that it lies on the sphere (before the box
    shortens it) and no pixel changes by `step` any more.
    """
    check_ball(norm, bound, step)
    radius = ball_radius(norm, bound, images)
    return descend(
        model,
        images,
        goal,
        objective_named(loss, goal),
        lambda _: steps_of(norm, direction, radius if step is None else step),
        radius=radius,
        norm=norm,
        max_iterations=1,
    )
