"""PGD: repeated steps along the sign of the gradient (Madry et al., ICLR 2018), in an L2 ball."""

from torch import Tensor

from flipbook.attacks._ball import Signs, default_radius, descend
from flipbook.attacks._label_loss import LabelLoss
from flipbook.checks import check_positive
from flipbook.goals import Goal
from flipbook.perturbed import Perturbed


def pgd(
    model,
    images: Tensor,
    goal: Goal,
    *,
    step: float = 0.005,
    max_iterations: int = 300,
    radius: float | None = None,
    leave: bool = True,
    trace: tuple[str, ...] = (),
) -> Perturbed:
    """Repeat δ <- Π(δ - step · sign ∇L), Π onto the ball of radius τ and then the box; no random start.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any; `fgsm` says which loss L each kind has.
    step : float
        Change of every pixel in one step, in [0, 1] units (0.01 on the paper's [-1, 1]).
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
    As in MASW's comparison. A sign step of n pixels has norm step · √n, 2.6 for the 300 x 300 images of VOC: after a
    step or two the perturbation lies on the sphere, so that PGD's distortion says more about τ than about the attack.
    Images that are a success leave, here in untargeted runs too, where the authors' program goes on.
    """
    check_positive(step=step)
    return descend(
        model,
        images,
        goal,
        lambda _: LabelLoss(goal.bitwise()),
        lambda _: Signs(step),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        leave=leave,
        trace=trace,
    )
