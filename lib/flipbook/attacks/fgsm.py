"""FGSM: one step along the sign of the gradient (Goodfellow, Shlens and Szegedy, ICLR 2015), in an L2 ball."""

from torch import Tensor

from flipbook.attacks._ball import Signs, default_radius, descend
from flipbook.attacks._label_loss import LabelLoss
from flipbook.checks import check_positive
from flipbook.goals import Goal
from flipbook.perturbed import Perturbed


def fgsm(model, images: Tensor, goal: Goal, *, step: float = 0.015, radius: float | None = None) -> Perturbed:
    """Take one step δ = Π(-step · sign ∇L), Π onto the ball of radius τ and then the box.

    The loss is the log-likelihood of labels that are to go minus that of labels that are to come,

        L = Σ_{j in Y} log σ(z_j) - Σ_{t in Y_t} log σ(z_t),

    without the second sum for an untargeted goal; a `HideLabels` goal has its hidden labels for Y and its kept ones for
    Y_t. For a `LabelVector`, and for an output code's codeword, L is the binary cross-entropy towards the vector, so
    that labels that are right already cost next to nothing; for a `ClassTarget` it is -log softmax(z)_t.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    step : float
        Change of every pixel, in [0, 1] units (0.03 on the paper's [-1, 1]).
    radius : float, optional
        τ in [0, 1] units; by default 5 where labels are only to go (`TopKExcludes`, `HideLabels`) and 1 elsewhere (10
        and 2 on [-1, 1]).

    Returns
    -------
    Perturbed
        The image after the step, or the clean one where the step brings the goal no nearer. `iterations` is 1 where the
        step is kept. Passes: 1 forward to look at the clean image, 1 forward and 1 backward for the step, 1 forward to
        look at the result.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    As in MASW's comparison. A sign step of n pixels has norm step · √n; where that exceeds τ, the whole perturbation is
    scaled back, so that it lies on the sphere (before the box shortens it) and no pixel changes by `step` any more.
    """
    check_positive(step=step)
    return descend(
        model,
        images,
        goal,
        lambda _: LabelLoss(goal.bitwise()),
        lambda _: Signs(step),
        radius=default_radius(goal, radius),
        max_iterations=1,
    )
