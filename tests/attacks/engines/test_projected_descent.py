"""What the attacks of one engine share: the length of a step in the trace, and names that nobody knows."""

import inspect
import math

import pytest
import torch

from flipbook import attacks
from flipbook.attacks.engines.norm_balls import default_radius
from flipbook.goals import HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import mid_grey, random_affine
from tests.attacks.cases import images_and_goal, model_named, settings

TRACED = [
    name
    for name, attack in attacks.ALL.items()
    if "trace" in inspect.signature(attack).parameters and name not in ("apgd", "gmla")
]


def test_the_step_is_the_rate_times_the_gradient_before_it_is_projected():
    """On an affine model the loss of one label is its logit: every step is lr |w| long, however small the ball."""
    model, x = random_affine(), mid_grey(3)
    z = model(x)
    present = torch.nn.functional.one_hot(z.argmax(dim=1), 6)
    result = attacks.ml_cw_descent(
        model, x, TopKExcludes(present, 5), learning_rate=0.01, radius=1e-3, max_iterations=4, trace=("step", "loss")
    )
    lengths = 0.01 * model.W[z.argmax(dim=1)].norm(dim=1)
    torch.testing.assert_close(result.trace["step"][:, :4], lengths[:, None].expand(-1, 4))
    assert result.trace["step"][:, 4].isnan().all()
    assert result.trace["loss"].isfinite().all()


@pytest.mark.parametrize("name", TRACED)
def test_an_unknown_quantity_is_refused(name):
    kind = "excluded"
    model = model_named("affine", kind)
    x, goal = images_and_goal(model, kind)
    with pytest.raises(ValueError, match="trace is 'lenght': choose one of"):
        getattr(attacks, name)(model, x, goal, **settings(name, goal, 6) | {"trace": ("lenght",)})


@pytest.mark.parametrize("name", ["masw", "tkml", "ml_cw_descent", "pgd", "rank_i", "madw", "kfool"])
def test_an_iterate_without_logits_is_never_kept(name):
    """A model that breaks down away from the images: what is returned still has logits."""
    plain, centre = model_named("cnn", "excluded"), mid_grey(1)

    def model(x):
        away = (x - centre).flatten(1).norm(dim=1) > 0.3
        return torch.where(away[:, None], math.nan, plain(x))

    x = centre
    own = plain(x).argsort(dim=1, descending=True)[:, :2]
    goal = TopKExcludes(torch.zeros(1, 6).bool().scatter(1, own, True), 2)
    options = settings(name, goal, 6) | ({"learning_rate": 1.0} if name in ("masw", "tkml", "ml_cw_descent") else {})
    result = getattr(attacks, name)(model, x, goal, **options)
    assert not model(result.images).isnan().any()


@pytest.mark.parametrize("name", ["masw", "ml_cw_descent", "tkml", "rank_i"])
def test_the_default_ball_is_large_where_labels_are_only_to_go(name):
    assert [default_radius(goal, None) for goal in (HIDE, EXCLUDE, EQUAL, LABELS)] == [5, 5, 1, 1]
    assert default_radius(EQUAL, 3.0) == 3
    assert inspect.signature(getattr(attacks, name)).parameters["radius"].default is None


ONE = torch.tensor([[1, 0, 0]])
HIDE, EXCLUDE, LABELS = HideLabels(ONE), TopKExcludes(ONE, 1), LabelVector(ONE)
EQUAL = TopKEquals(torch.tensor([[0, 1, 0]]), 1, present=ONE)
