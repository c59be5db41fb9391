"""MASW on its Lagrangian as Eq. (23) prints it: what shows why a reading is needed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flipbook.attacks.engines.entry import attack
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.engines.self_paced import Pace, Paced, quantities
from flipbook.attacks.masw import constraint_factors, margins_of, stop_rule
from flipbook.core.attack_result import AttackResult
from flipbook.core.per_image_random import keys, uniform
from flipbook.goals import Goal


@attack
def masw_printed(
    model,
    images: Tensor,
    goal: Goal,
    *,
    hinged: bool = False,
    nu: float = 1.0,
    lam1: float = 0.5,
    lam2: float = 0.5,
    eta: float = 1.01,
    eps0: float = 0.01,
    weights: str = "spw",
    normalise: bool = True,
    reference: str = "exact",
    stop: str = "constraints",
    radius: float | None = None,
    learning_rate: float = 0.0025,
    max_iterations: int = 300,
    trace: tuple[str, ...] = (),
) -> AttackResult:
    """Descend Eq. (23) to the letter, or with its constraints as hinges (`hinged`), by the loop of `masw`.

    `hinged` is explained at `Printed`; all else, and what is returned, as for `flipbook.attacks.masw`.
    """
    pace, margins = Pace(weights, eta, eps0, normalise), margins_of(reference)

    def objective(images: Tensor) -> Printed:
        λ = constraint_factors(images, goal, lam1, lam2)
        return Printed.start(images, margins, pace, λ, nu, 4 * learning_rate, hinged)

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


@dataclass
class Printed:
    """The objective ½ Σ λ_i w_i ζ_i² - ν Σ (m_i + ζ_i) of the margins m, with its slack ζ descended beside the image.

    Parameters
    ----------
    margins : callable
        Goal and logits (n, C) to the margins (n, M), +inf where a constraint does not matter.
    pace : Pace
        How the weights follow from ζ.
    λ : Tensor (n, M) or (n, 1)
        Factors of the constraints.
    state : Paced
        Weights and threshold.
    keys : Tensor (n,) of int64
        Of the images; ζ starts uniform on [0, 1).
    slack : Tensor (n, M)
        ζ; without columns before the first iteration.
    nu : float
        ν.
    rate : float
        Step of the slack: the paper's learning rate, whatever the range of the images.
    hinged : bool
        Whether ν Σ max(0, -m_i - ζ_i) takes the place of the linear term.

    Notes
    -----
    The image's gradient is that of -ν Σ m_i, or of those terms that the hinge leaves: neither λ nor w is in it. The
    slack of the linear form grows towards ν / (λ w); that of the hinged form only shrinks like (1 - rate λ w)^t, and
    its constraints ask for no more than m = -ζ. ½||z||² is left to the projection, as in the paper. Weights start at
    1, as the method's text has it; its settings say uniform.
    """

    margins: Callable[[Goal, Tensor], Tensor]
    pace: Pace
    λ: Tensor
    state: Paced
    keys: Tensor
    slack: Tensor
    nu: float
    rate: float
    hinged: bool

    @classmethod
    def start(cls, images: Tensor, margins, pace: Pace, λ: Tensor, nu: float, rate: float, hinged: bool) -> "Printed":
        """Begin with these images (N, channels, H, W)."""
        slack = images.new_zeros(len(images), 0)
        return cls(margins, pace, λ, pace.start(images), keys(images), slack, nu, rate, hinged)

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the objective (n,) and what the trace may keep; the slack and the weights move on by an iteration."""
        m = self.margins(goal, logits)
        counts = m < torch.inf
        if not self.slack.shape[1]:
            self.slack = uniform(self.keys, m.shape[1], stream=0).to(m)
        ζ, w = self.slack, self.state.weights
        excess = torch.where(counts, -m - ζ, 0.0)
        term = excess.clamp(min=0) if self.hinged else excess
        value = ((self.λ * w * ζ.square() * counts) / 2 + self.nu * term).sum(dim=1)
        pull = self.nu * (excess.detach() > 0) if self.hinged else self.nu
        self.slack = ζ - self.rate * (self.λ * w * ζ - pull)
        loss = value.detach()
        self.state = self.pace.after(self.state, self.slack, loss)
        violations = (-m.detach()).clamp(min=0)
        return value, quantities(loss, loss, w, self.state, violations)

    def __getitem__(self, index: Tensor) -> "Printed":
        parts = {name: getattr(self, name)[index] for name in ("λ", "state", "keys", "slack")}
        return replace(self, **parts)
