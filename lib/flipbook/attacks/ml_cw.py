"""ML-C&W: C&W's search with one hinge a label (Song et al. 2018)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.penalty_search import minimise_penalty
from flipbook.core.attack_result import AttackResult
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_counts, check_inputs, check_positive
from flipbook.goals import Goal


@attack
def ml_cw(
    model,
    images: Tensor,
    goal: Goal,
    *,
    initial_weight: float = 1e-2,
    search_steps: int = 10,
    max_iterations: int = 1000,
    learning_rate: float = 1e-2,
    gamma: float = 0.0,
    released_code: bool = False,
) -> AttackResult:
    """Minimise ||δ||²₂ + λ Σ_j max(0, γ - y_j z_j) with Adam in tanh space, searching λ for each image.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        `LabelVector`, `HideLabels` (free labels have no hinge), `ClassTarget` with a codebook (y is the target's
        codeword, success is by decoding); without one the hinges are on the target's lead over every other class.
    initial_weight : float
        λ of the first run; times 10 until a run succeeds, bisected from then on.
    search_steps : int
        n_bs, number of runs.
    max_iterations : int
        n_it,max, steps a run.
    learning_rate : float
        Of Adam on w.
    gamma : float
        γ >= 0, logit beyond which a label is safe.
    released_code : bool
        Behave as the code behind JMA's tables: λ stays at 1 and an image leaves at its first success, so that its
        distortion is not minimised. `initial_weight` and `search_steps` have no effect then: further runs would repeat
        the first.

    Returns
    -------
    AttackResult
        The successful iterate of smallest norm over all runs; of a failure the one with fewest labels wrong.
        `iterations` is its 1-based index in the run of its λ. Passes: 1 forward and 1 backward a step, over all runs;
        `first_success` is the cost without the rest of the search.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.
    """
    check_inputs(model, images, goal)
    check_counts(search_steps=search_steps, max_iterations=max_iterations)
    check_positive(initial_weight=initial_weight, learning_rate=learning_rate)
    check_at_least(0, gamma=gamma)

    def hinges(margins: Tensor) -> Tensor:
        return (gamma - margins).clamp(min=0).sum(dim=1)

    return minimise_penalty(
        PassCounter(model, images),
        images,
        goal,
        goal.per_label(),
        hinges,
        initial_weight=initial_weight,
        search_steps=search_steps,
        max_iterations=max_iterations,
        learning_rate=learning_rate,
        stop_on_success=released_code,
    )
