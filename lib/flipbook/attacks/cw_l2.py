"""C&W L2, targeted (Carlini and Wagner 2017), with JMA's protocol (section IV-A)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.penalty_search import minimise_penalty
from flipbook.core.attack_result import AttackResult
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_counts, check_inputs, check_positive
from flipbook.goals import Goal


@attack
def cw_l2(
    model,
    images: Tensor,
    goal: Goal,
    *,
    initial_weight: float = 1e-2,
    search_steps: int = 10,
    max_iterations: int = 1000,
    learning_rate: float = 1e-2,
    kappa: float = 0.0,
) -> AttackResult:
    """Minimise ||δ||²₂ + λ max(-min_i margin_i, -κ) with Adam in tanh space, searching λ for each image.

    The margins are the goal's: the target logit's lead for classes (JMA, Eq. 4); through a codebook the lead of the
    target's correlation with tanh z, which is "C&W for ECOC" (saturated outputs starve its gradient); for label vectors
    the worst label.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any.
    initial_weight : float
        λ of the first run; times 10 until a run succeeds, bisected from then on.
    search_steps : int
        n_bs, number of runs.
    max_iterations : int
        n_it,max, steps a run.
    learning_rate : float
        Of Adam on w. JMA does not state it; 1e-2 is Carlini and Wagner's.
    kappa : float
        κ >= 0, margin with which the goal must be reached.

    Returns
    -------
    AttackResult
        The successful iterate of smallest norm over all runs. `iterations` is its 1-based index in the run of its λ, as
        the papers count, so only `forwards` and `backwards` tell the cost: 1 each a step, over all runs.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Eq. 4 of JMA misplaces the bracket: max(·, -κ) encloses the whole difference. Adam starts afresh with every λ.
    """
    check_inputs(model, images, goal)
    check_counts(search_steps=search_steps, max_iterations=max_iterations)
    check_positive(initial_weight=initial_weight, learning_rate=learning_rate)
    check_at_least(0, kappa=kappa)

    def lag(margins: Tensor) -> Tensor:
        return (-margins.amin(dim=1)).clamp(min=-kappa)

    return minimise_penalty(
        PassCounter(model, images),
        images,
        goal,
        goal,
        lag,
        initial_weight=initial_weight,
        search_steps=search_steps,
        max_iterations=max_iterations,
        learning_rate=learning_rate,
        confidence=kappa,
    )
