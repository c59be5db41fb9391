"""What an attack must reach, as inequalities on the logits; `a & b` asks for both."""

from flipbook.goals.all_of import AllOf
from flipbook.goals.classes import ClassTarget
from flipbook.goals.constraints import INF, Constraints, equally_many, first_marked
from flipbook.goals.goal import Goal, as_mask, same_width
from flipbook.goals.labels import HideLabels, LabelVector
from flipbook.goals.ranking import SCORES, TopKEquals, TopKExcludes, check_top_k, top_k

__all__ = [
    "INF",
    "SCORES",
    "AllOf",
    "ClassTarget",
    "Constraints",
    "Goal",
    "HideLabels",
    "LabelVector",
    "TopKEquals",
    "TopKExcludes",
    "as_mask",
    "check_top_k",
    "equally_many",
    "first_marked",
    "same_width",
    "top_k",
]
