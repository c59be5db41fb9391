"""The pull on TkML's reference z[k]."""

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw.figure_08_09 import pull, pulls
from flipbook.attacks.engines.self_paced import Pace
from flipbook.attacks.tkml import targeted_loss
from flipbook.goals import TopKEquals

PRESENT = torch.tensor([[True, False, False, False]])
GOAL = TopKEquals(torch.tensor([[False, True, True, False]]), 2, present=PRESENT)  # labels 1 and 2 first
LOGITS = torch.tensor([[5.0, 3.0, 1.0, 0.0]])  # z[2] is label 1's, a target's; 0 is above, target 2 below


def test_equal_weights_cancel_as_the_gradient_says():
    net, wrong = pull(GOAL, LOGITS, Pace("none"), torch.ones(1, 1))
    assert (net.item(), wrong.item()) == (0.0, False)
    z = LOGITS.clone().requires_grad_()
    (g,) = torch.autograd.grad(targeted_loss(GOAL, z).sum(), z)
    assert g[0, 1] == 0


@pytest.mark.parametrize(
    ("weights", "expected", "wrong"), [((0.1, 1, 0.9, 1), 0.8, True), ((0.9, 1, 0.1, 1), -0.8, False)]
)
def test_unequal_weights_move_the_label_of_rank_k(weights, expected, wrong):
    net, found = pull(GOAL, LOGITS, Pace(), torch.tensor([weights]))
    assert net.item() == pytest.approx(expected)
    assert found.item() is wrong  # down is wrong for a target


def test_a_label_that_is_no_target_must_not_be_lifted():
    logits = torch.tensor([[5.0, 3.0, 1.0, 4.0]])  # z[2] is label 3's
    net, wrong = pull(GOAL, logits, Pace(), torch.tensor([[1.0, 0.1, 0.1, 1.0]]))
    assert net.item() < 0
    assert wrong.item()


def test_without_a_violated_constraint_there_is_no_pull():
    net, wrong = pull(GOAL, torch.tensor([[0.0, 3.0, 3.0, 1.0]]), Pace(), torch.ones(1, 4))
    assert net.isnan().all()
    assert not wrong.any()


def test_self_pacing_turns_the_pull_around():
    (setting,) = paper.settings(["VOC 2012"])
    setup = paper.setup(setting, paper.size(setting, images=3))
    lines = pulls(setup, ("best", 10), setting.targeted, max_iterations=6).set_index("method")
    assert lines.loc["TkML", "wrong"] == 0  # equal weights never push the wrong way
    assert lines.loc["TkML + SPW", "wrong"] > 30
    assert lines.loc["TkML + SPW", "net"] > lines.loc["TkML", "net"]
