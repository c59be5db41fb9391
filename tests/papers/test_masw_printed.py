"""Eq. (23) of the MASW paper to the letter, and with hinges."""

import pytest
import torch

from companion.papers.masw.printed import masw_printed
from flipbook.core.per_image_random import keys, uniform
from flipbook.goals import TopKExcludes
from tests.attacks.test_masw import Seen, conflict, two_pixels


def path(extra):
    model, x, goal, options = conflict()
    seen = Seen(model)
    masw_printed(seen, x, goal, **(options | extra))
    return torch.stack(seen.images[2:])


def test_hinges_and_the_reference_change_the_path():
    paths = [path(extra) for extra in ({}, {"hinged": True}, {"reference": "k+1"})]
    assert all((paths[0] - each).abs().max() > 1e-6 for each in paths[1:])


def test_images_are_kept_apart():
    model, x, goal, options = conflict()
    together = masw_printed(model, x, goal, **options)
    for i in range(len(x)):
        alone = masw_printed(model, x[i : i + 1], goal[i : i + 1], **options)
        torch.testing.assert_close(together.images[i], alone.images[0], atol=1e-9, rtol=0)


def test_as_printed_neither_weights_nor_factors_nor_slack_reach_the_image():
    """Eq. (23): the gradient is that of all margins, met or not, and the same whatever is weighted."""
    model, x, goal, options = conflict()
    paths = []
    for extra in ({}, {"weights": "none"}, {"lam1": 5.0, "lam2": 0.0}, {"eps0": 1.0}):
        seen = Seen(model)
        masw_printed(seen, x, goal, **(options | extra))
        paths.append(torch.stack(seen.images[2:]))
    assert all(torch.equal(paths[0], path) for path in paths[1:])
    affine, x, _ = two_pixels()
    seen = Seen(affine)
    there = TopKExcludes(torch.tensor([[0, 1, 0, 0]]), 1, hide=True)  # already excluded: only its side is violated
    masw_printed(seen, x, there, learning_rate=0.001, max_iterations=1)
    δ = (seen.images[-1] - x).flatten()
    torch.testing.assert_close(δ, -0.001 * torch.tensor([-4.0, 2.0 + 2.0], dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_printed_slack_follows_its_own_gradient():
    """½ Σ λ w ζ² - ν Σ (m + ζ) in the first two iterations, from a start in [0, 1) that the image's content sets."""
    model, x, goal = two_pixels()
    options = {"weights": "none", "max_iterations": 1, "trace": ("lagrangian",)}
    found = masw_printed(model, x, goal, learning_rate=0.0025, **options).trace["lagrangian"][0]
    total, squares = _sums_of_slack()
    expected = 0.5 * squares / 2 + 3.0 - total
    assert float(found[0]) == pytest.approx(expected)
    moved = [ζ - 0.01 * (0.5 * ζ - 1) for ζ in _slack()]
    δ = -0.0025 * torch.tensor([8.0, 4.0])
    hinges = 2 * (1.5 + 4 * float(δ[0]) + 2 * float(δ[1]))
    assert float(found[1]) == pytest.approx(0.25 * sum(ζ**2 for ζ in moved) + hinges - sum(moved))


def _slack():
    _, x, _ = two_pixels()
    ζ = uniform(keys(x), 8, stream=0)[0].tolist()
    return [ζ[i] for i in (0, 1, 4, 5)]  # the other labels have no constraint


def _sums_of_slack():
    return sum(_slack()), sum(ζ**2 for ζ in _slack())
