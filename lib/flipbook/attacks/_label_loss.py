"""The loss per label that FGSM, MI-FGSM and PGD descend: what a label's presence costs, whatever the goal."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from flipbook.attacks._loss import cross_entropy
from flipbook.goals import Goal, HideLabels, LabelVector


def label_loss(aim: Goal, logits: Tensor) -> Tensor:
    """Log-likelihood of labels that are to go, minus that of labels that are to come, (n,), for a goal's `bitwise()`.

    - `HideLabels`, which a top-k goal becomes: Σ_{to go} log σ(z_j) - Σ_{to come} log σ(z_t), the published loss with
      its sign turned: the attack ascends the binary cross-entropy of the labels that are there and descends that of its
      targets. It has no lower bound: a label that is gone is pushed further.
    - `LabelVector`, which an output code becomes: -Σ_j log σ(y_j z_j), the binary cross-entropy towards the vector.
      Most of its labels are right from the start; there this loss is nearly flat, where the one above would push each
      absent label with all its force and drown the labels that are to change.
    - `ClassTarget`: -log softmax(z)_t.
    """
    if isinstance(aim, HideLabels):
        return -(aim.signs.to(logits) * logsigmoid(logits)).sum(dim=1)
    if isinstance(aim, LabelVector):
        return -logsigmoid(aim.margins(logits)).sum(dim=1)
    return cross_entropy(aim.margins(logits))


@dataclass(frozen=True)
class LabelLoss:
    """The objective of this loss; it keeps `bitwise()`, which checks what it builds, from one iteration to the next."""

    aim: Goal

    def __call__(self, goal: Goal, logits: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss (n,), under the name "loss" too."""
        value = label_loss(self.aim, logits)
        return value, {"loss": value.detach()}

    def __getitem__(self, index: Tensor) -> "LabelLoss":
        return LabelLoss(self.aim[index])
