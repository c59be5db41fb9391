"""ML-C&W: its loss by the plain search, free labels, and the released code's behaviour."""

import torch

from flipbook.attacks.ml_cw import ml_cw
from flipbook.goals import HideLabels, LabelVector
from tests.affine import SmallNet, mid_grey
from tests.attacks.plain_cw import plain_search

OPTIONS = {"initial_weight": 0.1, "search_steps": 4, "max_iterations": 40, "learning_rate": 0.05}


def prepare():
    model, x = SmallNet(), mid_grey(5)
    target = model(x) > 0
    target[:, 1] ^= True
    target[2:, 4] ^= True
    return model, x, LabelVector(target)


def test_equals_the_plain_search_of_one_image():
    model, x, goal = prepare()
    result = ml_cw(model, x, goal, gamma=0.1, **OPTIONS)
    for n in range(len(x)):
        y, wanted = goal.signs[n], goal.target[n]
        nearest, index, first, _ = plain_search(
            model,
            x[n],
            lambda z, y=y: torch.relu(0.1 - y * z).sum(dim=1),
            lambda z, wanted=wanted: bool(((z > 0) == wanted).all()),
            0.1,
            runs=4,
            max_iterations=40,
            learning_rate=0.05,
        )
        torch.testing.assert_close(result.images[n], nearest, atol=1e-9, rtol=0)
        assert (int(result.iterations[n]), int(result.first_success[n])) == (index, first)


def test_free_labels_take_no_part():
    """The result is that of a model which has only the labels that matter."""
    model, x, _ = prepare()
    hidden = torch.zeros(5, 6, dtype=torch.bool)
    hidden[:, 2] = True
    kept = torch.zeros_like(hidden)
    kept[:, 3] = True
    among_all = ml_cw(model, x, HideLabels(hidden, kept), **OPTIONS)

    class Two(torch.nn.Module):
        def forward(self, x):
            return model(x)[:, 2:4]

    alone = ml_cw(Two().eval(), x, LabelVector(torch.tensor([[0, 1]]).expand(5, 2)), **OPTIONS)
    torch.testing.assert_close(among_all.images, alone.images, atol=1e-9, rtol=0)
    assert torch.isfinite(among_all.images).all()


def test_released_code_ignores_the_weight_and_keeps_the_first_success():
    model, x, goal = prepare()
    searched = ml_cw(model, x, goal, **(OPTIONS | {"initial_weight": 1.0}))
    released, other = (
        ml_cw(model, x, goal, released_code=True, **(OPTIONS | {"initial_weight": λ})) for λ in (1.0, 50.0)
    )
    assert torch.equal(released.images, other.images)
    assert released.reached.all()
    # the run of λ = 1 is the same until then: its first success comes after 1 + 2 v - 1 passes
    assert torch.equal(released.first_success, 2 * released.iterations)
    assert (released.backwards - released.iterations < 10).all()
    norms = [(r.images - x).flatten(1).norm(dim=1) for r in (searched, released)]
    assert (norms[0] <= norms[1] + 1e-12).all()
    assert (norms[0] < norms[1]).any()


def test_a_failure_keeps_its_closest_attempt():
    model, x, goal = prepare()
    goal = LabelVector(torch.cat([goal.target[:, :1], goal.target[:, 1:] ^ (torch.arange(1, 6) % 2 == 0)], dim=1))
    result = ml_cw(model, x, goal, initial_weight=1.0, search_steps=2, max_iterations=8, learning_rate=0.01)
    failed = ~result.reached
    assert failed.any()
    before, after = goal.violations(model(x)), goal.violations(model(result.images))
    assert (after[failed] < before[failed]).any()
    assert (result.first_success[failed] == -1).all()
