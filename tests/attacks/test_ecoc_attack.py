"""The ECOC attack: its loss by the plain search, success by decoding, and the safe bits."""

import torch

from flipbook.attacks.ecoc_attack import ecoc_attack
from flipbook.goals import ClassTarget
from tests.affine import SmallNet, mid_grey
from tests.attacks.cases import CODE
from tests.attacks.plain_cw import plain_search

OPTIONS = {"initial_weight": 0.1, "search_steps": 4, "max_iterations": 40, "learning_rate": 0.05}


def prepare():
    model, x = SmallNet(outputs=8), mid_grey(5)
    scores = model(x).tanh() @ CODE.T
    return model, x, ClassTarget(scores.argsort(dim=1)[:, 2], CODE)


def test_equals_the_plain_search_of_one_image():
    model, x, goal = prepare()
    result = ecoc_attack(model, x, goal, eta=0.2, **OPTIONS)
    for n in range(len(x)):
        word, aim = CODE[goal.target[n]], goal[n : n + 1]
        nearest, index, first, _ = plain_search(
            model,
            x[n],
            lambda z, word=word: -(word * z).min(dim=1).values.clamp(max=0.2),
            lambda z, aim=aim: bool(aim.reached(z)),
            0.1,
            runs=4,
            max_iterations=40,
            learning_rate=0.05,
        )
        torch.testing.assert_close(result.images[n], nearest, atol=1e-9, rtol=0)
        assert (int(result.iterations[n]), int(result.first_success[n])) == (index, first)


def test_success_is_decoding_not_every_bit():
    """Codewords at distance 4 decode with a bit wrong; asking for all bits would miss these nearer images."""
    model, x, goal = prepare()
    result = ecoc_attack(model, x, goal, **OPTIONS)
    assert result.reached.all()
    assert (goal.per_label().violations(model(result.images)) > 0).any()
