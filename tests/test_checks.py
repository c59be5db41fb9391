"""Bad input is refused in one line that says what is wrong and how to mend it."""

import pytest
import torch

from flipbook.checks import check_choice, check_images, check_inputs, check_positive
from flipbook.goals import ClassTarget, LabelVector
from tests.affine import random_affine

IMAGES = torch.full((2, 3, 6, 6), 0.5, dtype=torch.float64)
GOAL = LabelVector(torch.ones(2, 6))


def refused(message, call, *arguments):
    with pytest.raises(ValueError, match=message) as error:
        call(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[0], r"shape \(3, 6, 6\): give \(N, channels, height, width\)"),
        ((IMAGES * 255).byte(), "convert them to floating point"),
        (IMAGES * 3, r"lie in \[1.5, 1.5\]: give them in \[0, 1\]"),
        (IMAGES * torch.nan, "NaN or infinite"),
    ],
)
def test_images(images, message):
    refused(message, check_images, images)


@pytest.mark.parametrize(
    ("model", "goal", "message"),
    [
        (random_affine(), GOAL[:1], "goal speaks of 1 images, the batch has 2"),
        (
            random_affine(),
            LabelVector(torch.ones(2, 6, dtype=torch.bool, device="meta")),
            r"use goal.to\(images.device\)",
        ),
        (random_affine().train(), GOAL, "call model.eval()"),
        (random_affine(outputs=5), GOAL, "target has 6 columns, the model gives 5 logits"),
        (random_affine(outputs=5), ClassTarget(torch.tensor([7, 0])), "holds class 7, the model has 5 classes"),
        (lambda x: random_affine()(x).detach(), GOAL, "no gradient"),
        (lambda x: random_affine()(x) * torch.nan, GOAL, "NaN or infinite logits"),
        (lambda x: x, GOAL, r"gives \(1, 3, 6, 6\) for one image"),
        (lambda x: [x], GOAL, "gives list for one image"),
    ],
)
def test_models_and_goals(model, goal, message):
    refused(message, check_inputs, model, IMAGES, goal)


def test_probabilities_are_noticed():
    with pytest.warns(UserWarning, match="seems to return probabilities"):
        check_inputs(lambda x: random_affine()(x).sigmoid(), IMAGES, GOAL)


def test_good_input_and_an_empty_batch_pass():
    check_inputs(random_affine(), IMAGES, GOAL)
    check_inputs(random_affine(), IMAGES[:0], GOAL[:0])


def test_hyper_parameters():
    refused("step is 0: it must be above 0", lambda: check_positive(step=0))
    refused("solver is 'x': choose one of 'a', 'b'", check_choice, "solver", "x", ("a", "b"))
