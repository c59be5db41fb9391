"""SAPF, SAPF-GS and SAPF-VI: exactly k entries change, chosen by ADMM (Fan et al., ECCV 2020).

GS gathers them in few superpixels (section 3.3), VI prefers entries where a change is hard to see (section 3.4).
"""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.factorised import factorise
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_at_least, check_inputs
from flipbook.goals import Goal
from flipbook.sparse.superpixels import superpixels
from flipbook.sparse.visibility import visibility_weights


@attack
def sapf(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    selection: str = "literal",
    loss: str = "hinge",
    kappa: float = 0.0,
    initial_weight: float | None = None,
    search_steps: int = 6,
    rounds: int = 1,
    inner_iterations: int = 2000,
    search_stop: str = "budget",
    leave_early: bool = False,
    shared_channels: bool = False,
) -> AttackResult:
    """Minimise ||δ ⊙ G||² + λ1 L(clip(x + δ ⊙ G)) over magnitudes δ and a binary selection G with k ones (Eq. 3).

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1]; an image with several targets is given once for each.
    goal : Goal
        Any with margins.
    k : int or Tensor (N,) of int64
        Entries, that is pixels times channels, that may change, 1..channels·H·W; the paper's share is about 0.2.
    selection : {"literal", "normalised", "magnitude", "gradient", "random"}
        How G is chosen. "literal" is the paper's ADMM, "normalised" the same with the data part of each image at a
        fixed scale beside the penalties. The rest are ablations without a G-phase: the k largest |δ| of the dense
        perturbation; the k largest |gradients| of the clean image; k at random, drawn from the image's content.
    loss : {"hinge", "cross-entropy"}
        Of the goal's margins.
    kappa : float
        κ >= 0 of the hinge, which it keeps pulling beyond the boundary; a success needs the goal only.
    initial_weight : float, optional
        λ0, the first λ1; published: 1e-3 for CIFAR-10, 1e-2 for ImageNet, from which S solves may not get to a λ1 that
        suffices where logits are small or depend on all pixels a little. By default 8 L/||∇L||² at each clean image,
        four times what suffices on an affine model that may change all entries, for one more pass each way.
    search_steps : int
        S, solves a pair, each with its own λ1: tenfold until one succeeds, bisected from then on.
    rounds : int
        M, turns of a δ-phase and a G-phase in a solve.
    inner_iterations : int
        T, steps a phase. The schedules of step size and penalties are compressed to T; below 200 they are too hasty.
    search_stop : {"budget", "first"}
        Make all S solves, or leave at the first that succeeds, as the paper's text has it.
    leave_early : bool
        Let a pair end a δ-phase when its objective has not fallen by 0.1 % in T/10 steps, and a G-phase when G is
        binary to 1e-2 and its sum within 1 of k.
    shared_channels : bool
        Select whole pixels, k // channels of them.

    Returns
    -------
    AttackResult
        The success of smallest L2 norm among all iterates of all refits: at most k entries differ from the image.
        Without a success it is the closest attempt, that is often the clean image. `iterations` is the place of the
        returned iterate in the schedule of its solve. Passes, unless phases or the search end early: S (2 M T + T/2)
        forwards and backwards, and 1 + S forwards for the clean images and the last iterates of the refits. Without a
        G-phase T + T/2 take the place of the bracket.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, and a k or other options out of range.

    Notes
    -----
    Fan et al. 2020, Algorithm 1, with the constants and the order of steps of the authors' code where the text lacks
    them or cannot work: penalties' caps (the text's make G diverge), duals (Eq. 15 prints G - Z for G - Y), M = 1 for
    10, a refit of δ by T/2 steps under the binary G, step sizes with a floor of 1e-3, the hinge.

    Deviations from both: G is rounded to its k largest entries, where the code's G > 0.5 gives roughly k; the
    cardinality's penalty goes with 3072 / N, without which it diverges on large images; success is asked of every
    iterate of the refit and not of the last alone, for on the boundary the hinge makes iterates hop; of all successes
    the smallest is returned, not the last; λ1 may go on growing beyond 100.
    """
    check_inputs(model, images, goal)
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
        shared_channels=shared_channels,
    )


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


@attack
def sapf_vi(
    model,
    images: Tensor,
    goal: Goal,
    *,
    k: int | Tensor,
    weighting: str = "variance",
    floor: float = 1e-4,
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
    """Minimise ||w ⊙ δ ⊙ G||² + λ1 L with weights w that are large in flat, or flat and dark, surroundings (Eq. 17).

    Parameters
    ----------
    model, images, goal, k
        As in `sapf`.
    weighting : {"uniform", "variance", "variance-mean"}
        See `visibility_weights`; "uniform" is SAPF.
    floor : float
        What keeps the weights of flat windows finite; 1e-2 gives more graded weights than the code's 1e-4.
    selection : str
        As in `sapf`; "magnitude" ranks by |w ⊙ δ|.
    loss, kappa, initial_weight, search_steps, rounds, inner_iterations, search_stop, leave_early
        As in `sapf`. The weights change what a λ1 means, so that λ0 is calibrated by default.

    Returns
    -------
    AttackResult
        As from `sapf`, but the success of smallest ||w ⊙ r||_2, with r the change of the image.

    Raises
    ------
    ValueError
        As `sapf`, and for an unknown weighting or a floor that is not positive.

    Notes
    -----
    The text leaves open how weights get into [0, 1]; the code stretches each channel, and so does this.
    """
    check_inputs(model, images, goal)
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
        weights=visibility_weights(images, weighting, floor),
    )
