"""SAPF: a targeted perturbation with exactly k selected entries and small magnitudes (Fan et al., ECCV 2020)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.factorised import factorise
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_inputs
from flipbook.goals import Goal


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
