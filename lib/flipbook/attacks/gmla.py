"""GMLA and its rivals MLA-U and MLA-C: Auto-PGD that attacks some labels (Mahmood and Elhamifar, CVPR 2024)."""

import torch
from torch import Tensor

from flipbook.attacks.engines.auto_pgd import Direct, auto_pgd, signs
from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.target_split import all_losses, parted_losses, target_losses
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view
from flipbook.core.validation import check_choice, check_inputs
from flipbook.goals import Goal

VARIANTS = ("full", "alpha", "beta")


@attack
def gmla(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 0.01,
    tau: float = -0.85,
    variant: str = "full",
    max_iterations: int = 300,
    step: float = 0.012,
    momentum: float = 0.75,
    checkpoint_decrease: int = 2,
    trace: bool = False,
) -> AttackResult:
    """Change the targets T and preserve the rest; where both pull apart, drop what would hurt the rest.

    With u₁ and u₂ the unit vectors along which the cross-entropy of T and that of the rest fall, ρ = u₁ · u₂, the
    direction is

        (I - u₂ u₂ᵀ) sgn(u₁), divided by its largest entry,   where ρ <= τ,        sgn(u₁ + u₂)   elsewhere,

    and Auto-PGD takes steps along it, with momentum, halving them where progress stalls.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        An image is done when it is reached. `HideLabels`: T are the hidden labels, for GMLA the consistent set Ψ that a
        knowledge graph makes of the wanted Ω; the rest is preserved as predicted on the clean image, but only T decides
        success. `LabelVector`: T are the labels to flip, and success is the whole vector (JMA's "SemA-ML").
        `ClassTarget` with a codebook: the bits of the target's codeword likewise. Any other goal: T are the margins
        that the clean image misses, for a class the lead over the classes ahead of it.
    bound : float
        ε, the largest change of a pixel in [0, 1] units: 0.01 for VOC and NUS-WIDE, 0.05 for Open Images.
    tau : float
        τ in [-1, 1], the cosine up to which directions count as opposed: -1 never projects, 1 always does.
    variant : {"full", "alpha", "beta"}
        "alpha" follows T alone (`mla_u`), "beta" the plain sum of both gradients (`mla_c`); neither looks at τ.
    max_iterations : int
        N steps at most.
    step : float
        Size of the first step, in the largest pixel. Independent of ε.
    momentum : float
        Weight in (0, 1] of a new step; what remains repeats the move before.
    checkpoint_decrease : int
        How often a check of the step sizes takes 0.03 N off the number of steps to the next check: 2 in the authors'
        program (checks after 66, then 48, 30, 18, 18, ... steps at N = 300), 1 in Auto-PGD.
    trace : bool
        Keep ρ ("rho") and whether it led to a projection ("projected", 0 or 1) of every step, (N, max_iterations) each
        and NaN after an image's end; only for the full variant, since the others do not compute it.

    Returns
    -------
    AttackResult
        The first success. `iterations` is the number of steps to the returned image. Passes: 1 forward and 2 backward
        (variants: 1) a step, 1 forward to look at the clean images and 1 at the last iterate.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Source: the supplement (Eqs. 7 to 10), completed by the authors' program where they differ. The cosine is that of
    the two directions of descent: with the gradients of Eq. 8 as printed, the projection would be made where it is
    useless. The step is 0.012 = 2 η for directions of largest entry 1, where Eqs. 8 and 9 multiply ε and η. The losses
    are descended towards the wanted labels, where Eqs. 5, 11 and 12 ascend those of the original ones. Every image is
    judged for itself; the program loses a projection when only the first image of a batch needs it. A failure returns
    its closest attempt, the program the clean image: its measures take the clean image where `reached` is false.
    """
    check_inputs(model, images, goal)
    check_choice("variant", variant, VARIANTS)
    if not -1 <= tau <= 1:
        raise ValueError(f"tau is {tau}: it is a cosine, in [-1, 1]")
    if trace and variant != "full":
        raise ValueError(f"trace is True, but variant {variant!r} has no cosine to keep: use it with 'full'")
    rules = {"full": (parted_losses, _rule(tau)), "alpha": (target_losses, signs), "beta": (all_losses, signs)}
    schedule = _schedule(max_iterations, step, momentum, checkpoint_decrease)
    names = ("rho", "projected") if trace else ()
    return auto_pgd(model, images, goal, *rules[variant], bound=bound, **schedule, trace=names)


@attack
def mla_u(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 0.01,
    max_iterations: int = 300,
    step: float = 0.012,
    momentum: float = 0.75,
    checkpoint_decrease: int = 2,
) -> AttackResult:
    """Step along the sign of the gradient of the targets' cross-entropy and leave the other labels to themselves.

    Parameters, result and errors as for `gmla`, at 1 backward pass a step. Source: GMLA's supplement and its authors'
    program. Only the direction ignores the other labels: the objective by which step sizes are judged counts them all,
    as in the program.
    """
    check_inputs(model, images, goal)
    schedule = _schedule(max_iterations, step, momentum, checkpoint_decrease)
    return auto_pgd(model, images, goal, target_losses, signs, bound=bound, **schedule)


@attack
def mla_c(
    model,
    images: Tensor,
    goal: Goal,
    *,
    bound: float = 0.01,
    max_iterations: int = 300,
    step: float = 0.012,
    momentum: float = 0.75,
    checkpoint_decrease: int = 2,
) -> AttackResult:
    """Step along the sign of the gradient of all labels' cross-entropy: attack the targets, preserve the rest.

    Parameters, result and errors as for `gmla`, at 1 backward pass a step. Source: GMLA's supplement and its authors'
    program. The two gradients g₁ of the targets and g₂ of the rest are added as they are, so that the larger one
    dominates; their sum is one gradient and costs one backward pass, where the program makes two.
    """
    check_inputs(model, images, goal)
    schedule = _schedule(max_iterations, step, momentum, checkpoint_decrease)
    return auto_pgd(model, images, goal, all_losses, signs, bound=bound, **schedule)


def _schedule(max_iterations: int, step: float, momentum: float, checkpoint_decrease: int) -> dict:
    return {
        "max_iterations": max_iterations,
        "step": step,
        "momentum": momentum,
        "checkpoint_decrease": checkpoint_decrease,
    }


def _rule(tau: float) -> Direct:
    def direct(gradients: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Direction of largest entry 1 from the gradients (n, 2, channels, H, W) of the losses of T and the rest."""
        scale = -(gradients.flatten(2).norm(dim=2) + 1e-9)
        u1, u2 = (gradients / scale[:, :, None, None, None]).unbind(dim=1)
        ρ = _dot(u1, u2)
        D, conflict = (u1 + u2).sign_(), ρ <= tau  # Eq. (8), its cosine that of the directions of descent
        rows = conflict.nonzero().flatten()
        if len(rows):
            D[rows] = _projected(u1[rows].sign_(), u2[rows])
        return D, {"rho": ρ, "projected": conflict}

    return direct


def _projected(ν: Tensor, u2: Tensor) -> Tensor:
    """(I - u₂ u₂ᵀ) ν, divided by its largest entry."""
    Pν = ν - u2 * batch_view(_dot(u2, ν), ν)
    return Pν / batch_view(Pν.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(ν.dtype).tiny), ν)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1)
