"""C&W L2: the search against its plain wording, exact distances, confidence, and what a codebook does to it."""

import pytest
import torch

from flipbook.attacks import cw_l2, ecoc_attack, ml_cw
from flipbook.attacks.engines import penalty_search
from flipbook.goals import ClassTarget, LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.cases import CODE
from tests.attacks.plain_cw import plain_search
from tests.attacks.seen import Seen


@pytest.mark.parametrize(("λ", "iterations", "rate"), [(0.1, 41, 0.05), (10.0, 25, 0.01)])
def test_equals_the_plain_search_of_one_image(λ, iterations, rate):
    """λ before and after the first success, the abort, the fresh Adam, the record and its index, the passes."""
    model, x = SmallNet(), mid_grey(4)
    target = model(x) > 0
    target[:, 1] ^= True
    target[1:, 4] ^= True
    goal = LabelVector(target)
    result = cw_l2(model, x, goal, initial_weight=λ, search_steps=4, max_iterations=iterations, learning_rate=rate)
    for n in range(4):
        aim = goal[n : n + 1]
        nearest, index, first, lengths = plain_search(
            model,
            x[n],
            lambda z, aim=aim: (-aim.margins(z).amin(dim=1)).clamp(min=0),
            lambda z, aim=aim: bool(aim.reached(z)),
            λ,
            runs=4,
            max_iterations=iterations,
            learning_rate=rate,
        )
        steps = -(-sum(lengths) // penalty_search.BLOCK) * penalty_search.BLOCK  # an image leaves at the end of a block
        assert int(result.backwards[n]) == min(steps, 4 * iterations)
        assert int(result.forwards[n]) == int(result.backwards[n]) + 1
        assert bool(result.reached[n]) == (nearest is not None)
        assert int(result.first_success[n]) == first
        if nearest is not None:
            torch.testing.assert_close(result.images[n], nearest, atol=1e-9, rtol=0)
            assert int(result.iterations[n]) == index


def test_leaving_the_batch_changes_nothing(monkeypatch):
    model, x = SmallNet(), mid_grey(6)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    options = {"initial_weight": 0.1, "search_steps": 3, "max_iterations": 30}
    results = []
    for block in (1, 7, 10**9):
        monkeypatch.setattr(penalty_search, "BLOCK", block)
        results.append(cw_l2(model, x, goal, **options))
    for other in results[1:]:
        torch.testing.assert_close(results[0].images, other.images, atol=1e-9, rtol=0)
        assert torch.equal(results[0].iterations, other.iterations)
        assert torch.equal(results[0].first_success, other.first_success)
    assert (results[0].backwards < results[2].backwards).any()


def test_two_classes_within_a_percent_of_the_exact_distance():
    model, x = random_affine(outputs=2, scale=3.0), mid_grey(4)
    z = model(x)
    target = z.argmin(dim=1)
    result = cw_l2(model, x, ClassTarget(target), initial_weight=0.1, search_steps=9, max_iterations=600)
    exact = (z[:, 0] - z[:, 1]).abs() / (model.W[0] - model.W[1]).norm()
    violations = (result.images - x).flatten(1).norm(dim=1)
    assert result.reached.all()
    assert (violations >= exact * (1 - 1e-9)).all()
    assert (violations <= exact * 1.01).all()


def test_confidence_is_the_margin_of_the_result():
    model, x = SmallNet(), mid_grey(4)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    options = {"initial_weight": 1.0, "search_steps": 4, "max_iterations": 60, "learning_rate": 0.05}
    near, far = (cw_l2(model, x, goal, kappa=κ, **options) for κ in (0.0, 0.5))
    assert near.reached.all()
    assert far.reached.all()
    assert (goal.margins(model(far.images)).amin(dim=1) >= 0.5).all()
    assert (goal.margins(model(near.images)).amin(dim=1) < 0.5).all()
    assert ((far.images - x).flatten(1).norm(dim=1) > (near.images - x).flatten(1).norm(dim=1)).all()


def test_saturated_output_codes_starve_it():
    """Through tanh at large logits there is no gradient; the attack on the bits themselves does not mind."""
    W = 300 * random_affine(outputs=8, seed=2).W
    x = mid_grey(4)
    model = Affine(W, 40 * CODE[1] - x.flatten(1).mean(dim=0) @ W.T).eval()
    assert (model(x).tanh().abs() == 1).any()
    goal = ClassTarget(torch.full((4,), 3), CODE)
    options = {"initial_weight": 1.0, "search_steps": 3, "max_iterations": 100, "learning_rate": 0.05}
    starved = cw_l2(model, x, goal, **options)
    assert not starved.reached.any()
    assert (starved.first_success == -1).all()
    assert ecoc_attack(model, x, goal, **options).reached.all()


@pytest.mark.parametrize("attack", [cw_l2, ml_cw, ecoc_attack])
def test_a_run_that_improves_takes_just_as_many_steps_as_it_may(attack):
    """After max_iterations steps, no more and no fewer, the next weight begins at the clean image."""
    model, x = Seen(random_affine()), mid_grey(1)
    goal = LabelVector(~(model(x) > 0))
    model.batches.clear()
    attack(model, x, goal, initial_weight=100.0, search_steps=3, max_iterations=7, learning_rate=1e-3)
    norms = model.norms(x[0])[-21:]
    assert (norms < 1e-5).nonzero().flatten().tolist() == [0, 7, 14]
