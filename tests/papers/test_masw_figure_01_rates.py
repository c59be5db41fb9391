"""ASR by Eq. 1: hand-made rankings, among them the paper's own of Figure 1, and a run."""

import pytest
import torch

from companion.papers.masw import experiments as paper
from companion.papers.masw.figure_01 import asr_eq1, rates


def ranked(*labels):
    z = torch.full((1, 7), -1.0)
    z[0, list(labels)] = torch.arange(len(labels), 0, -1).float()
    return z


@pytest.mark.parametrize(
    ("own", "first", "fooled"),
    [
        ((2, 3, 4), (1, 2, 3), True),  # the paper's: AFD is 0, though two of three are still there
        ((2, 3, 4), (5, 6, 4), True),
        ((2, 3, 4), (4, 2, 3), False),  # equal
        ((2, 3), (1, 2, 3), False),  # Y within
        ((1, 2, 3, 4), (1, 2, 3), False),  # the first three within Y
        ((2,), (1, 5, 6), True),
    ],
)
def test_by_hand(own, first, fooled):
    present = torch.zeros(1, 7).bool()
    present[0, list(own)] = True
    assert asr_eq1(present, ranked(*first), 3).tolist() == [fooled]


def test_it_is_never_below_sasr_and_complete_success_never_above():
    (setting,) = paper.settings(["COCO 2014"])
    lines = rates(paper.setup(setting, paper.size(setting, images=4, iterations=3)), 3, ("FGSM", "MASW"))
    assert lines["method"].tolist() == ["FGSM", "MASW"]
    assert (lines["ASR by Eq. 1"] >= lines["SASR"] - 1e-9).all()
    assert (lines["ASR"] <= lines["SASR"] + 1e-9).all()
