"""TkALC as adapted here: TkML and an average of companions' logits."""

import pytest
import torch

from flipbook.attacks import tkalc, tkml
from flipbook.attacks.tkalc import correlations
from flipbook.goals import TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.seen import Seen

R = torch.tensor(
    [[0.9, 0.3, 0.0, 0.2], [0.5, 0.9, 0.1, 0.0], [0.25, 0.2, 0.9, 0.6], [0.25, 0.0, 0.7, 0.9]], dtype=torch.float64
)
LABELS = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]])


def goals(model, x):
    z = model(x)
    order = z.argsort(dim=1, descending=True)
    present = torch.zeros_like(z, dtype=torch.bool).scatter(1, order[:, :1], True)
    target = torch.zeros_like(present).scatter(1, order[:, 2:], True)
    return z, TopKExcludes(present, 2), TopKEquals(target, 2, present=present)


def test_without_the_term_it_is_tkml():
    model, x = SmallNet(outputs=4), mid_grey(4)
    _, *both = goals(model, x)
    for goal in both:
        options = {"learning_rate": 0.01, "max_iterations": 20}
        a = tkalc(model, x, goal, correlation=R, beta=0, **options)
        b = tkml(model, x, goal, **options)
        uncorrelated = tkalc(model, x, goal, correlation=torch.eye(4), **options)  # a label is not its own companion
        for other in (b, uncorrelated):
            assert torch.equal(a.images, other.images)
            assert torch.equal(a.first_success, other.first_success)


def test_the_term_is_the_average_logit_of_companions():
    """On an affine model it moves the first step by lr β times that average of the labels' weights."""
    model, x = random_affine(outputs=4), mid_grey(1)
    model.b += torch.tensor([3.0, 1, 0, -1]).double()  # label 0 is there, 2 and 3 are to come
    z, untargeted, targeted = goals(model, x)
    assert untargeted.present.tolist() == [[True, False, False, False]]
    assert targeted.target.tolist() == [[False, False, True, True]]
    away = torch.tensor([0, 0.5, 0.25, 0.25]).double()
    # Columns 2 and 3 of R, without label 0 and the diagonal: 0.1 for label 1, 0.6 for 2, 0.7 for 3.
    near = torch.tensor([0, 0.1, 0.6, 0.7]).double() / 1.4
    for goal, weights in ((untargeted, away), (targeted, -near)):
        shown, losses = [], []
        for β in (0, 0.5):
            seen = Seen(model)
            result = tkalc(seen, x, goal, correlation=R, beta=β, max_iterations=1, trace=("loss",))
            shown.append(seen.batches[-1])
            losses.append(result.trace["loss"][0, 0])
        torch.testing.assert_close(losses[1] - losses[0], 0.5 * weights @ z[0])
        torch.testing.assert_close(shown[1] - shown[0], -0.0025 * 0.5 * (weights @ model.W).view_as(x))


def test_correlations_are_shares_of_the_images_with_a_label():
    """Label 0 is in three images, two of them with 1 and one with 2; no image has label 3."""
    expected = [[0, 1, 1 / 2, 0], [2 / 3, 0, 1 / 2, 0], [1 / 3, 1 / 2, 0, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(correlations(LABELS), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"correlation": R[:3]}, r"correlation has shape \(3, 4\)"),
        ({"correlation": -R}, "correlation has entries outside"),
        ({"correlation": R * torch.nan}, "correlation has entries outside"),
        ({"beta": -0.5}, "beta is -0.5"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    model, x = random_affine(outputs=4), mid_grey(1)
    goal = TopKExcludes(torch.eye(4)[:1], 2)
    with pytest.raises(ValueError, match=message):
        tkalc(model, x, goal, **({"correlation": R} | changed))
