"""Where TkML's targeted loss pulls its reference z[k] when its hinges have unequal weights (MASW, Figure 8c).

The hinges compare every label with z[k], the k-th largest logit, whichever label has it, and the gradient flows through
it. A target below pulls z[k] down, another label above pulls it up. With equal weights the two nearly cancel, and what
is left pushes the right way: down if z[k] is no target's, up if it is. Unequal weights need not.
"""

from dataclasses import dataclass, field, replace

import pandas as pd
from torch import Tensor, cat, nan

from companion.papers.masw.experiments import Block, Setup
from flipbook.attacks.engines.projected_descent import Plain, descend
from flipbook.attacks.engines.self_paced import Pace, SelfPaced
from flipbook.attacks.tkml import targeted_hinges
from flipbook.goals import TopKEquals


@dataclass
class _Watched(SelfPaced):
    """TkML's objective, which notes the pull on z[k] of every iteration."""

    pulls: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, goal: TopKEquals, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.pulls.append(pull(goal, logits.detach(), self.pace, self.state.weights))
        return super().__call__(goal, logits)

    def __getitem__(self, index: Tensor) -> "_Watched":
        return replace(self, λ=self.λ[index], state=self.state[index])


def pull(goal: TopKEquals, logits: Tensor, pace: Pace, weights: Tensor) -> tuple[Tensor, Tensor]:
    """How a step moves z[k] by itself.

    Parameters
    ----------
    goal : TopKEquals
    logits : Tensor (n, C)
    pace : Pace
        Scales the weights.
    weights : Tensor (n, C) or (n, 1)
        Of the hinges.

    Returns
    -------
    Tensor (n,)
        The sum of the pulls as a share of all weights, positive where z[k] goes down; NaN without violated constraints.
    Tensor (n,) of bool
        Whether that is the wrong way for the label that has it.
    """
    violated = targeted_hinges(goal, logits) > 0
    w = pace.scaled(weights, violated) * violated
    total = w.sum(dim=1)
    net = (w * (2 * goal.target.to(w) - 1)).sum(dim=1) / total.where(total > 0, nan)
    is_target = goal.target.gather(1, logits.topk(goal.k, dim=1).indices[:, -1:])[:, 0]
    return net, (is_target & (net > 0)) | (~is_target & (net < 0))


def pulls(setup: Setup, block: Block, τ: float, max_iterations: int = 30) -> pd.DataFrame:
    """Run TkML's loss without and with self-paced weights on all images of a scene, and look at z[k].

    Returns
    -------
    DataFrame
        A line each: method, wrong (percent of the steps that push z[k]'s label the wrong way) and net (percent: mean
        size of the pull, of all weights), over steps with violated constraints.
    """
    lines = []
    for name, weights in (("TkML", "none"), ("TkML + SPW", "spw")):
        pace, images = Pace(weights), setup.images
        watched = _Watched(targeted_hinges, pace, images.new_ones(len(images), 1), pace.start(images))
        step = Plain(setup.setting.learning_rate)
        descend(
            setup.model, images, setup.goal(block), lambda _, of=watched: of, lambda _, by=step: by,
            radius=τ, max_iterations=max_iterations,
        )  # fmt: skip
        net, wrong = (cat([of[i] for of in watched.pulls]).double() for i in (0, 1))
        of_violated = ~net.isnan()
        share = 100 * wrong[of_violated].mean(), 100 * net[of_violated].abs().mean()
        lines.append({"method": name, "wrong": float(share[0]), "net": float(share[1])})
    return pd.DataFrame(lines)
