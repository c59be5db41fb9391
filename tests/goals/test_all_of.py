"""Goals that are asked for together."""

import pytest
import torch

from flipbook import attacks
from flipbook.goals import AllOf, ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import mid_grey, random_affine

Z = torch.tensor([[1.0, -2.0, 3.0, 0.5], [-1.0, 2.0, -3.0, 0.5]]).double()
HIDE = HideLabels(torch.tensor([[0, 1, 0, 0], [0, 1, 0, 0]]))
FIRST = ClassTarget(torch.tensor([2, 2]))


def test_both_must_be_reached_and_what_is_missed_adds_up():
    both = HIDE & FIRST
    assert both.reached(Z).tolist() == [True, False]
    assert both.violations(Z).tolist() == (HIDE.violations(Z) + FIRST.violations(Z)).tolist() == [0, 4]
    assert torch.equal(both.margins(Z), torch.cat([HIDE.margins(Z), FIRST.margins(Z)], dim=1))
    assert torch.equal(both.constraints(Z).offsets, both.margins(Z))
    assert both.constraints(Z).matrix(4).shape == (2, 7, 4)


def test_combinations_are_flat_and_are_indexed_and_moved_whole():
    both = HIDE & FIRST & HIDE
    assert len(both.goals) == 3
    part = both[torch.tensor([1])]
    assert len(part) == 1
    assert part.reached(Z[1:]).tolist() == [False]
    assert both.to("cpu").device == torch.device("cpu")


def test_what_they_ask_of_single_labels_is_joined():
    joined = (HIDE & HideLabels(torch.tensor([[1, 0, 0, 0]] * 2), torch.tensor([[0, 0, 1, 0]] * 2))).per_label()
    assert joined.signs.tolist() == [[-1, -1, 1, 0]] * 2
    with pytest.raises(ValueError, match="both hidden and kept"):
        (HIDE & LabelVector(torch.ones(2, 4))).per_label()


def test_measures_of_all_goals_are_kept():
    own = torch.tensor([[1, 0, 0, 0]] * 2)
    assert set((HIDE & TopKExcludes(own, 1)).measures(Z, Z)) == {"asr", "sasr", "lfr", "sac"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HIDE & ClassTarget(torch.tensor([1])), "the goals speak of 2, 1 images: make them equal"),
        (lambda: HIDE & "cat", "str is no goal"),
        (lambda: (HIDE & ClassTarget(torch.tensor([1, 9]))).check(Z), "class 9, the model has 4 classes"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["jma", "ml_deepfool", "madw", "masw", "gmla", "apgd", "cw_l2", "ml_cw", "mla_lp"])
def test_attacks_reach_a_label_off_and_another_first(name):
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    goal = HideLabels(torch.nn.functional.one_hot(z.argmax(1), 6)) & TopKEquals(
        torch.nn.functional.one_hot(z.argmin(1), 6)
    )
    assert isinstance(goal, AllOf)
    options = {"gmla": {"bound": 0.5}, "apgd": {"bound": 0.5}, "madw": {"radius": 5.0}}.get(name, {})
    result = attacks.ALL[name](model, x, goal, **options)
    assert result.reached.tolist() == goal.reached(model(result.images)).tolist()
    assert result.reached.float().mean() >= 0.5
