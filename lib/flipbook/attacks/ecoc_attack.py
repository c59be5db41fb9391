"""The ECOC attack: C&W's search on the worst bit of the target's codeword (Zhang, Tondi, Lv, Barni 2020)."""

from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.penalty_search import minimise_penalty
from flipbook.core.attack_result import AttackResult
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_at_least, check_counts, check_inputs, check_positive
from flipbook.goals import Goal


@attack
def ecoc_attack(
    model,
    images: Tensor,
    goal: Goal,
    *,
    initial_weight: float = 1e-2,
    search_steps: int = 10,
    max_iterations: int = 1000,
    learning_rate: float = 1e-2,
    eta: float = 0.0,
) -> AttackResult:
    """Minimise ||δ||²₂ - λ min(min_j c_tj z_j, η) with Adam in tanh space, searching λ for each image.

    Only the bit that is worst at the moment has a gradient; once every bit is beyond η only the distance is left.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Meant for `ClassTarget` with a codebook. A label vector serves as its own codeword; a goal without bits has its
        margins in their place.
    initial_weight : float
        λ of the first run; times 10 until a run succeeds, bisected from then on.
    search_steps : int
        n_bs, number of runs.
    max_iterations : int
        n_it,max, steps a run.
    learning_rate : float
        Of Adam on w.
    eta : float
        η >= 0, logit beyond which a bit is safe.

    Returns
    -------
    AttackResult
        The successful iterate of smallest norm over all runs. `iterations` is its 1-based index in the run of its λ.
        Passes: 1 forward and 1 backward a step, over all runs.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses and hyper-parameters out of range.

    Notes
    -----
    Success is the decision (decoding). The released code records an image only when every bit has the target's sign,
    which understates its success rate. Its factor 2 before λ is left out: the search absorbs it.
    """
    check_inputs(model, images, goal)
    check_counts(search_steps=search_steps, max_iterations=max_iterations)
    check_positive(initial_weight=initial_weight, learning_rate=learning_rate)
    check_at_least(0, eta=eta)

    def worst_bit(margins: Tensor) -> Tensor:
        return -margins.amin(dim=1).clamp(max=eta)

    return minimise_penalty(
        PassCounter(model, images),
        images,
        goal,
        goal.per_label(),
        worst_bit,
        initial_weight=initial_weight,
        search_steps=search_steps,
        max_iterations=max_iterations,
        learning_rate=learning_rate,
    )
