"""Eq. (23) of the MASW paper to the letter, and with hinges."""

import pytest
import torch

from companion.papers.masw.printed import masw_printed
from flipbook.core.per_image_random import keys, uniform
from flipbook.goals import TopKEquals, TopKExcludes
from tests.attacks import plain_descents
from tests.attacks.test_masw import Seen, conflict, two_pixels
from tests.attacks.test_plain_descents import RADIUS, RATE, STEPS, K, assert_same_path, cases, shown_to

NU = 0.8


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


def plain_eq_23(model, x0, own, chosen, hinged, reached):
    """The loop of Eq. (23) for one image, with its slack descended beside it: the images that the model is shown.

    Slack starts uniform, weights at 1; both move after the gradient is taken, and so do the threshold and the weights.
    """
    ranked, sides = (range(6) if chosen else own), [j for j in own if j not in chosen]
    drawn = uniform(keys(x0[None]), 12, stream=0)[0].tolist()
    ζ, w = [drawn[j] for j in ranked] + [drawn[6 + j] for j in sides], [1.0] * (len(ranked) + len(sides))
    λ = [0.4] * len(ranked) + [0.7] * len(sides)
    state = {"ζ": ζ, "w": w, "ε": 0.05, "before": 0.05, "lowest": float("inf")}

    def loss(z):
        v = [each for part in plain_descents.violations(z, own, K, chosen) for each in part]
        ζ, w = state["ζ"], state["w"]
        excess = [a - b for a, b in zip(v, ζ, strict=True)]
        term = sum(torch.relu(each) if hinged else each for each in excess)
        L = sum(a * b * c**2 / 2 for a, b, c in zip(λ, w, ζ, strict=True)) + NU * float(term)
        pull = [NU * (not hinged or float(each) > 0) for each in excess]
        state["ζ"] = [c - 4 * RATE * (a * b * c - p) for a, b, c, p in zip(λ, w, ζ, pull, strict=True)]
        if state["lowest"] > L:
            state["before"], state["ε"], state["lowest"] = state["ε"], 1.1 * state["ε"], L
        else:
            state["ε"] = (state["ε"] + state["before"]) / 2
        state["w"] = [state["ε"] / max(c, state["ε"]) for c in state["ζ"]]
        return NU * term

    return list(plain_descents.descend(model, x0, loss, reached, RADIUS, RATE, STEPS))


@pytest.mark.parametrize("hinged", [False, True])
@pytest.mark.parametrize("targeted", [False, True])
def test_every_step_is_that_of_the_plain_loop(targeted, hinged):
    for model, x, own, chosen, (present, target) in cases(targeted):
        goal = TopKEquals(target, present=present, hide=True) if targeted else TopKExcludes(present, K, hide=True)
        options = {"lam1": 0.4, "lam2": 0.7, "eta": 1.1, "eps0": 0.05, "radius": RADIUS, "hinged": hinged, "nu": NU}
        mine = shown_to(masw_printed, model, x, goal, learning_rate=RATE, max_iterations=STEPS, **options)
        reached = lambda z, goal=goal: int(goal.violations(z[None])) == 0  # noqa: E731
        assert_same_path(mine, plain_eq_23(model, x, own, chosen, hinged, reached), at_least=2)
