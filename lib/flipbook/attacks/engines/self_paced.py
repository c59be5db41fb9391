"""Self-paced weighting: hard constraints count less, until the threshold of what is hard has grown (MASW, IV-C).

It fits every objective that is a sum of hinges, one a constraint: MASW's, and ML-C&W's and TkML's in Figure 8.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.core.best_so_far import PerImage
from flipbook.core.validation import check_choice, check_positive
from flipbook.goals import INF, Goal

WEIGHTS = ("spw", "spl", "fixed", "hard", "none")
QUANTITIES = ("loss", "lagrangian", "threshold", "weight", "hinges", "violated")


@dataclass(frozen=True)
class Pace:
    """How weights follow from the slack ζ of the constraints, w = ε / max(ζ, ε) (Eq. 24), and ε from the progress.

    Parameters
    ----------
    weights : {"spw", "spl", "fixed", "hard", "none"}
        The rule for ε. "spw", the paper's: times η after an iteration that lowers the objective, else the mean of the
        last two. "spl": times η always. "fixed": never changed. "hard": as "spw", but w is 1 where ζ <= ε, else 0 (the
        paper's ad hoc strategy; where every ζ is above ε nothing moves any more). "none": w is 1.
    eta : float
        η > 1.
    eps0 : float
        ε at the start, in the unit of the slack.
    normalise : bool
        Whether the weights of violated constraints are scaled to mean 1, so that they do not shorten the step.
    """

    weights: str = "spw"
    eta: float = 1.01
    eps0: float = 0.01
    normalise: bool = True

    def __post_init__(self):
        check_choice("weights", self.weights, WEIGHTS)
        check_positive(eps0=self.eps0)
        if not self.eta > 1:
            raise ValueError(f"eta is {self.eta}: it must be above 1")

    def start(self, images: Tensor) -> "Paced":
        """Weights 1 for all constraints of these images (N, channels, H, W), and no objective to compare with."""
        ones = images.new_ones(len(images), 1)
        return Paced(ones, self.eps0 * ones, self.eps0 * ones, INF * ones)

    def after(self, state: "Paced", slack: Tensor, value: Tensor) -> "Paced":
        """Follow an iteration of this slack (n, M) and this objective (n,): the threshold first, then the weights."""
        ε, before, lowest = state.threshold, state.before, state.lowest
        if self.weights in ("spw", "hard"):
            fell = value[:, None] < lowest
            grown, mean = self.eta * ε, (ε + before) / 2
            ε, before = torch.where(fell, grown, mean), torch.where(fell, ε, before)
            lowest = torch.where(fell, value[:, None], lowest)
        elif self.weights == "spl":
            ε = self.eta * ε
        if self.weights == "none":
            return Paced(state.weights, ε, before, lowest)
        weights = (slack <= ε).to(slack) if self.weights == "hard" else ε / torch.maximum(slack, ε)  # Eq. (24)
        return Paced(weights, ε, before, lowest)

    def scaled(self, weights: Tensor, violated: Tensor) -> Tensor:
        """Weights (n, M) with mean 1 over the violated constraints (n, M) of an image, if so asked."""
        if not self.normalise or self.weights == "none":
            return weights
        total = (weights * violated).sum(dim=1, keepdim=True)
        return weights * (violated.sum(dim=1, keepdim=True) / total.where(total > 0, INF))


@dataclass
class Paced(PerImage):
    """The state of self-paced weighting for n images."""

    weights: Tensor  # (n, M), or (n, 1) where all are equal
    threshold: Tensor  # (n, 1) ε
    before: Tensor  # (n, 1) ε of the iteration before the last that lowered the objective
    lowest: Tensor  # (n, 1) the objective at the last iteration that lowered it


@dataclass
class SelfPaced:
    """The objective Σ_i λ_i w̄_i h_i(z) for the engine, with weights of the iteration before (`Pace.scaled`).

    Parameters
    ----------
    hinges : callable
        Goal and logits (n, C) to the hinges h (n, M), 0 where a constraint is met.
    pace : Pace
        How the weights change.
    λ : Tensor (n, M) or (n, 1)
        Factors of the constraints.
    state : Paced
        Weights and threshold.
    squared : bool
        Whether h²/2 takes the place of h.

    Notes
    -----
    For the trace: "loss", the objective; "lagrangian", the same sum with the weights as they are (Eq. 23 without
    ½||z||², which the paper leaves to the projection); "threshold", ε after the iteration; "weight", the mean w over
    violated constraints, 1 without any; "hinges", Σ h, which compares across weights; "violated", their number.
    """

    hinges: Callable[[Goal, Tensor], Tensor]
    pace: Pace
    λ: Tensor
    state: Paced
    squared: bool = False

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the objective (n,) and what the trace may keep; the state moves on by an iteration."""
        h = self.hinges(goal, logits)
        slack, w = h.detach(), self.state.weights
        violated = slack > 0
        part = h.square() / 2 if self.squared else h  # Eq. (16), or its exact form
        value = (self.λ * self.pace.scaled(w, violated) * part).sum(dim=1)
        lagrangian = (self.λ * w * part.detach()).sum(dim=1)
        self.state = self.pace.after(self.state, slack, lagrangian)
        return value, quantities(value.detach(), lagrangian, w, self.state, slack)

    def __getitem__(self, index: Tensor) -> "SelfPaced":
        return replace(self, λ=self.λ[index], state=self.state[index])


def quantities(
    loss: Tensor, lagrangian: Tensor, weights: Tensor, after: Paced, violations: Tensor
) -> dict[str, Tensor]:
    """What a trace may keep of an iteration with these weights and violations (n, M), each (n,)."""
    violated = violations > 0
    number = violated.sum(dim=1)
    return {
        "loss": loss,
        "lagrangian": lagrangian,
        "threshold": after.threshold[:, 0],
        "weight": torch.where(number > 0, (weights * violated).sum(dim=1) / number.clamp(min=1), 1.0),
        "hinges": violations.sum(dim=1),
        "violated": number,
    }


def check_trace(trace: tuple[str, ...]) -> None:
    """Refuse names that `quantities` does not have."""
    for name in trace:
        check_choice("trace", name, QUANTITIES)
