"""SAPF-VI: SAPF that prefers entries where a change is hard to see (Fan et al., ECCV 2020, section 3.4)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.factorised import factorise
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_inputs
from flipbook.goals import Goal
from flipbook.sparse.visibility import visibility_weights


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
