"""What FGSM, MI-FGSM and PGD descend: the cross-entropy towards a goal, or MASW's losses per label."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from flipbook.attacks.engines.losses import cross_entropy
from flipbook.attacks.engines.projected_descent import Loss, Objective
from flipbook.core.validation import check_choice
from flipbook.goals import AllOf, ClassTarget, Goal, HideLabels, LabelVector

LOSSES = ("goal", "labels")


def goal_loss(goal: Goal, logits: Tensor) -> Tensor:
    """Cross-entropy towards a goal, (n,): 0 only where it is reached with certainty.

    - A class: -log softmax(z)_t, as its papers have it.
    - Any other goal: Σ log(1 + exp(-m)) over its margins m, which for a label vector is the binary cross-entropy; an
      output code counts as the vector of its target's codeword. Goals that are combined add up.
    """
    if isinstance(goal, AllOf):
        return sum(goal_loss(each, logits) for each in goal.goals)
    if isinstance(goal, ClassTarget):
        if goal.codebook is None:
            return cross_entropy(goal.margins(logits))
        goal = goal.per_label()
    return -logsigmoid(goal.margins(logits)).sum(dim=1)


def label_loss(aim: Goal, logits: Tensor) -> Tensor:
    """Log-likelihood of labels that are to go, minus that of labels that are to come, (n,), for a goal's `per_label()`.

    - `HideLabels`, which a top-k goal becomes: Σ_{to go} log σ(z_j) - Σ_{to come} log σ(z_t), the published loss with
      its sign turned: the attack ascends the binary cross-entropy of the labels that are there and descends that of its
      targets. It has no lower bound: a label that is gone is pushed further.
    - `LabelVector`, which an output code becomes: -Σ_j log σ(y_j z_j), the binary cross-entropy towards the vector.
      Most of its labels are right from the start; there this loss is nearly flat, where the one above would push each
      absent label with all its force and drown the labels that are to change.
    - Other goals: as `goal_loss`.
    """
    if isinstance(aim, HideLabels):
        return -(aim.signs.to(logits) * logsigmoid(logits)).sum(dim=1)
    if isinstance(aim, LabelVector):
        return -logsigmoid(aim.margins(logits)).sum(dim=1)
    return goal_loss(aim, logits)


@dataclass(frozen=True)
class LabelLoss:
    """The objective of this loss; it keeps `per_label()`, which checks what it builds, between iterations."""

    aim: Goal

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss (n,), under the name "loss" too."""
        value = label_loss(self.aim, logits)
        return value, {"loss": value.detach()}

    def __getitem__(self, index: Tensor) -> "LabelLoss":
        return LabelLoss(self.aim[index])


def objective_named(name: str, goal: Goal) -> Callable[[Tensor], Objective]:
    """Return what makes the objective called "goal" (`goal_loss`) or "labels" (`label_loss`) for these images' goal."""
    check_choice("loss", name, LOSSES)
    return lambda _: Loss(goal_loss) if name == "goal" else LabelLoss(goal.per_label())
