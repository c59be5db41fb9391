"""MASW: top-k multi-label attack by self-paced weighting of its constraints (Su, Wu and Zhu)."""

from collections.abc import Callable

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.engines.self_paced import Pace, SelfPaced
from flipbook.core.attack_result import AttackResult
from flipbook.core.validation import check_at_least, check_choice, check_positive
from flipbook.goals import Goal, TopKEquals, TopKExcludes, check_top_k

FORMS = ("l1", "theta")
REFERENCES = ("exact", "k+1")
STOPS = ("constraints", "topk", "never")


@attack
def masw(
    model,
    images: Tensor,
    goal: Goal,
    *,
    nu: float = 1.0,
    lam1: float = 0.5,
    lam2: float = 0.5,
    eta: float = 1.01,
    eps0: float = 0.01,
    weights: str = "spw",
    normalise: bool = True,
    form: str = "l1",
    margin: float = 0.0,
    reference: str = "exact",
    stop: str = "constraints",
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Repeat δ <- Π(δ - lr ∇G), Π onto the ball of radius τ and then the box.

    G is the sum of the goal's margins m as weighted hinges,

        G = ν Σ_i λ_i w̄_i ζ_i,      ζ_i = max(0, -m_i),      w_i = ε / max(ζ_i, ε) of the iteration before (Eq. 24),

    ε grows by η when ν Σ λ w ζ falls, and else is the mean of the last two.

    Parameters
    ----------
    model : callable
        Images (N, channels, H, W) to logits (N, C), in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    goal : Goal
        Any. The paper's are `TopKExcludes` (untargeted, Eq. 7) and `TopKEquals` (targeted, Eq. 12) with `hide=True`.
    nu : float
        ν, scales the step.
    lam1, lam2 : float
        λ of the ranking's constraints and of the sides of the threshold; other goals have λ1 throughout.
    eta, eps0, weights, normalise
        η, ε at the start in the unit of the goal's margins, the rule of the threshold ("none": all w = 1), and w̄ in
        place of w: see `Pace`.
    form : {"l1", "theta"}
        "theta": ζ²/2 in place of ζ (Eq. 16; wants a `margin`).
    margin : float
        What a hinge asks beyond its boundary, ζ_i = max(0, margin - m_i), in the unit of the goal's margins.
    reference : {"exact", "k+1"}
        "k+1" compares with the logit of rank k + 1, as Eq. (9) to (13) print it, whichever label has it. Top-k goals
        only.
    stop : {"constraints", "topk", "never"}
        An image leaves when all constraints are met, or when the ranking is reached (top-k goals only), or not at all;
        then its smallest success counts.
    radius : float, optional
        τ in [0, 1] units; by default 5 where labels are only to go (`TopKExcludes`, `HideLabels`) and 1 elsewhere (10
        and 2 on the paper's [-1, 1]).
    learning_rate : float
        Of plain gradient descent, in [0, 1] units (0.01 on [-1, 1]: the gradient doubles and the step halves).
    max_iterations : int
        T.
    trace : tuple of str
        What to keep, (N, T + 1) each: "loss", "lagrangian", "threshold", "weight", "hinges" and "violated", see
        `SelfPaced`, and "step", the L2 norm of the step before it is projected.

    Returns
    -------
    AttackResult
        `iterations` is the number of steps made. Passes: 1 forward to look at the clean images, 1 forward and 1
        backward a step, 1 forward to look at the last one.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, hyper-parameters out of range, and options that need a top-k goal.

    Notes
    -----
    As printed the method cannot attack: in Eq. (23) neither weights nor slack reach the image's gradient, and on
    probabilities the published step moves nothing. The default is the reading under which the paper's text holds
    together: the penalty that remains when the slack is eliminated, in its exact form |·| so that w weights
    constraints as in Figures 2 and 3a, on logits. The others are `form`, the goal's `scores`, `reference` and
    `normalise`. Deviations: the reference is the exact condition, as the label of rank k + 1 may be one to hide, which
    would be pushed up; the failure kept is the one with the fewest requirements on the ranking missed, then the fewest
    labels on the wrong side, then the smallest norm, where Algorithm 1 keeps the last that lowered the objective; its
    stop ||∇L|| <= 1e-3 is met exactly where all constraints are.

    The weights w̄ of m violated constraints sum to m. Where one of many is nearly met, nearly all of it falls on that
    one, and the step is about m λ ||∇ζ|| lr long whatever is left of it: against far targets with large k it can be as
    long as the ball (trace "step"), and a smaller `learning_rate` may serve better.
    """
    check_positive(nu=nu, learning_rate=learning_rate)
    _check_options(goal, lam1, lam2, margin, form, reference, stop)
    pace = Pace(weights, eta, eps0, normalise)

    margins = margins_of(reference)

    def hinges(goal: Goal, logits: Tensor) -> Tensor:
        return (margin - margins(goal, logits)).clamp(min=0)

    def objective(images: Tensor):
        λ = constraint_factors(images, goal, lam1, lam2)
        return SelfPaced(hinges, pace, nu * λ, pace.start(images), squared=form == "theta")

    return descend(
        model,
        images,
        goal,
        objective,
        lambda _: Plain(learning_rate),
        radius=default_radius(goal, radius),
        max_iterations=max_iterations,
        stop_on_success=stop_rule(stop),
        trace=trace,
    )


def margins_to_next(goal: TopKExcludes | TopKEquals, logits: Tensor) -> Tensor:
    """The goal's margins with the ranking's against the score of rank k + 1, whichever label has it (Eq. 9 to 13)."""
    margins, width = goal.margins(logits), logits.shape[1]
    scores = logits if goal.scores == "logit" else logits.sigmoid()
    lead = scores - scores.topk(goal.k + 1, dim=1).values[:, -1:]
    targets = goal.target if isinstance(goal, TopKEquals) else torch.zeros_like(goal.present)
    ranking = torch.where(margins[:, :width].isinf(), margins[:, :width], torch.where(targets, lead, -lead))
    return torch.cat([ranking, margins[:, width:]], dim=1)


def constraint_factors(images: Tensor, goal: Goal, lam1: float, lam2: float) -> Tensor:
    """λ of every constraint: (N, 2 C) for a top-k goal with sides of the threshold, else (N, 1) of λ1."""
    λ = images.new_full((len(images), 1), lam1)
    if not isinstance(goal, TopKExcludes | TopKEquals) or not (goal.hide or goal.keep is not None):
        return λ
    return torch.cat([λ.expand_as(goal.present), torch.full_like(λ, lam2).expand_as(goal.present)], dim=1)


def margins_of(reference: str) -> Callable[[Goal, Tensor], Tensor]:
    """The function from goal and logits to margins that an option `reference` asks for."""
    return margins_to_next if reference == "k+1" else lambda goal, logits: goal.margins(logits)


def stop_rule(stop: str) -> bool | Callable[[Goal, Tensor], Tensor]:
    """When an image leaves, as `descend` takes it, by an option `stop`."""
    return (lambda goal, logits: goal.ranking.reached(logits)) if stop == "topk" else stop == "constraints"


def _check_options(goal: Goal, lam1: float, lam2: float, margin: float, form: str, reference: str, stop: str) -> None:
    check_choice("form", form, FORMS)
    check_choice("reference", reference, REFERENCES)
    check_choice("stop", stop, STOPS)
    check_at_least(0, lam1=lam1, lam2=lam2, margin=margin)
    if reference == "k+1":
        check_top_k("masw with reference='k+1'", goal)
    if stop == "topk":
        check_top_k("masw with stop='topk'", goal)
