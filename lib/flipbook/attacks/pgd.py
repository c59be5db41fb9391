"""PGD: repeated steps of steepest descent, each projected onto the ball (Madry et al., ICLR 2018)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.label_losses import objective_named
from flipbook.attacks.engines.norm_balls import ball_radius, check_ball, uniform_start
from flipbook.attacks.engines.projected_descent import descend, steps_of
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_counts
from flipbook.goals import Goal


@attack
def pgd(
    model,
    images: Tensor,
    goal: Goal,
    *,
    norm: str = "linf",
    bound: float | None = None,
    step: float | None = None,
    max_iterations: int = 100,
    random_start: bool = False,
    seed: int = 0,
    direction: str = "steepest",
    loss: str = "goal",
    stop_on_success: bool = True,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - α sign ∇L) in L∞, δ <- Π(δ - α ∇L / ||∇L||₂) in L2, Π onto the ball and then the box.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    norm, bound, direction, loss
        The ball and what is descended in it, as for `fgsm`.
    step : float, optional
        α, length of a step in the norm, in [0, 1] units; 2.5 ε / max_iterations by default, as in the paper's runs in
        L2: enough to cross the ball and to move along its boundary.
    max_iterations : int
        T.
    random_start : bool
        Whether to start from a point drawn uniformly from the ball, in place of the image. It is drawn from the image's
        content and the seed, so that neighbours do not matter.
    seed : int
        Of the random start.
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
    The paper makes all steps from several random starts and keeps the largest loss; here an image is done with its
    first success. Another `seed` is another start.

    MASW's comparison has its own form: norm="l2", direction="sign", step=0.005, max_iterations=300, loss="labels", and
    a bound of 5 where labels are only to go and 1 elsewhere (0.01, 10 and 2 on its [-1, 1]). A sign step of n pixels
    has norm step · √n, 2.6 for the 300 x 300 images of VOC: after a step or two the perturbation lies on the sphere, so
    that PGD's distortion says more about the bound than about the attack. Images that are a success leave, here in
    untargeted runs too, where the authors' program goes on.
    """
    check_ball(norm, bound, step)
    check_counts(max_iterations=max_iterations)
    check_counts(0, seed=seed)
    radius = ball_radius(norm, bound, images)
    if random_start and radius == float("inf"):
        raise ValueError("random_start is True, but bound is inf: give a finite bound to draw a start from")
    size = 2.5 * radius / max_iterations if step is None else step
    return descend(
        model,
        images,
        goal,
        objective_named(loss, goal),
        lambda _: steps_of(norm, direction, size),
        radius=radius,
        norm=norm,
        max_iterations=max_iterations,
        start=(lambda x: uniform_start(x, norm, radius, seed)) if random_start else None,
        stop_on_success=stop_on_success,
        trace=trace,
    )
