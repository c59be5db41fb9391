"""Bad input is refused in one line that says what is wrong and how to mend it."""

import math

import numpy as np
import pytest
import torch

from flipbook.core.validation import (
    check_at_least,
    check_choice,
    check_counts,
    check_images,
    check_inputs,
    check_positive,
    check_radius,
)
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


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (check_positive, math.inf, "n is inf: it must be above 0 and finite"),
        (check_positive, math.nan, "n is nan: it must be above 0"),
        (check_positive, "1", "n is '1': it must be a number"),
        (check_positive, None, "n is None: it must be a number"),
        (check_radius, 0, "n is 0: it must be above 0; math.inf means without a bound"),
        (check_radius, math.nan, "n is nan"),
        (check_counts, 2.5, "n is 2.5: it must be a whole number, 1 or above"),
        (check_counts, 3.0, "n is 3.0: it must be a whole number"),
        (check_counts, 0, "n is 0: it must be a whole number, 1 or above"),
        (check_counts, True, "n is True: it must be a whole number"),
        (lambda **n: check_counts(0, **n), -1, "n is -1: it must be a whole number, 0 or above"),
        (lambda **n: check_at_least(0, **n), -3, "n is -3: it must be 0 or above, and finite"),
        (lambda **n: check_at_least(0, **n), math.nan, "n is nan: it must be 0 or above"),
        (lambda **n: check_at_least(0, **n), math.inf, "n is inf: it must be 0 or above, and finite"),
    ],
)
def test_numbers_out_of_range(check, value, message):
    refused(message, lambda: check(n=value))


def test_numbers_in_range():
    check_positive(a=1e-9, b=np.float32(2), c=3)
    check_radius(a=math.inf, b=0.1)
    check_counts(a=1, b=np.int64(7))
    check_counts(0, a=0)
    check_at_least(0, a=0, b=0.5)
