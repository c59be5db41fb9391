"""SAPF-GS: SAPF whose selected entries gather in few superpixels (Fan et al., ECCV 2020, section 3.3)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.factorised import factorise
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_at_least, check_inputs
from flipbook.goals import Goal
from flipbook.sparse.superpixels import superpixels


@attack
def sapf_gs(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    group_weight: float = 10.0,
    groups: Tensor | None = None,
    segments: int = 350,
    selection: str = "literal",
    loss: str = "hinge",
    kappa: float = 0.0,
    initial_weight: float | None = None,
    search_steps: int = 6,
    rounds: int = 1,
    inner_iterations: int = 2000,
    search_stop: str = "budget",
    leave_early: bool = False,
) -> AttackResult:
    """Add λ2 Σ_i ||G^i||_2 over superpixels i to SAPF's objective (Eq. 16).

    Parameters
    ----------
    model, images, goal, k
        As in `sapf`.
    group_weight : float
        λ2 >= 0, the paper's Figure 3 has 0 and 10. Its effect is relative to the ADMM's penalties, not to the data.
    groups : Tensor (N, H, W) of int64, optional
        Superpixel 0..m-1 of every pixel, which all its channels share; by default SLIC's of the 8-bit image.
    segments : int
        How many superpixels SLIC is asked for: 350 on 299 x 299 pixels, about 60 suit 32 x 32.
    selection : {"literal", "normalised"}
        As in `sapf`; only these two have a G-phase in which the groups count. In "normalised" λ2 stays as it is.
    loss, kappa, initial_weight, search_steps, rounds, inner_iterations, search_stop, leave_early
        As in `sapf`; λ0 is the paper's for ImageNet.

    Returns
    -------
    AttackResult
        As from `sapf`, passes included.

    Raises
    ------
    ValueError
        As `sapf`, and for a negative λ2, groups that do not fit the images, and selections without a G-phase.

    Notes
    -----
    The paper adds the norms' gradient to Eq. 14. This is its code's form, a third copy of G with its own dual and
    penalty, which has no singular gradient; with λ2 = 0 it is SAPF exactly. (The released code has λ2 = 1e-3 by
    default.) An image of one colour gets a regular grid of superpixels.
    """
    check_inputs(model, images, goal)
    check_at_least(0, group_weight=group_weight)
    if selection not in ("literal", "normalised"):
        raise ValueError(f"selection is {selection!r}: with groups choose 'literal' or 'normalised'")
    if groups is None:
        groups = superpixels(images, segments)
    _check_groups(groups, images)
    return factorise(
        model,
        images,
        goal,
        k=k,
        selection=selection,
        loss=loss,
        kappa=kappa,
        initial_weight=initial_weight,
        search_steps=search_steps,
        rounds=rounds,
        inner_iterations=inner_iterations,
        search_stop=search_stop,
        leave_early=leave_early,
        groups=groups.to(images.device),
        group_weight=group_weight,
    )


def _check_groups(groups: Tensor, images: Tensor) -> None:
    expected = (len(images), *images.shape[2:])
    if groups.shape != expected:
        raise ValueError(f"groups have shape {tuple(groups.shape)}: give one label a pixel, {expected}")
    if groups.is_floating_point() or (len(groups) and groups.min() < 0):
        raise ValueError(f"groups are {groups.dtype} or negative: number the superpixels 0..m-1 in int64")
