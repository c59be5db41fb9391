"""SAPF-VI: its limit of equal weights, the best support of an affine model, and what the weights move."""

import pytest
import torch

from flipbook.attacks.engines.factorised import factorise
from flipbook.attacks.sapf import sapf, sapf_vi
from flipbook.goals import ClassTarget
from tests.affine import SmallNet, mid_grey, random_affine

SHORT = {"k": 36, "initial_weight": 0.3, "search_steps": 3, "inner_iterations": 40}
ALL = {"loss": "hinge", "kappa": 0.0, "rounds": 1, "search_stop": "budget", "leave_early": False}


@pytest.mark.parametrize("selection", ["literal", "magnitude"])
def test_equal_weights_are_sapf(selection):
    model, x = SmallNet(), mid_grey(3)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    alone = sapf(model, x, goal, selection=selection, **SHORT)
    weighted = sapf_vi(model, x, goal, weighting="uniform", selection=selection, **SHORT)
    torch.testing.assert_close(alone.images, weighted.images, atol=1e-9, rtol=0)
    assert torch.equal(alone.iterations, weighted.iterations)


@pytest.mark.parametrize("selection", ["magnitude", "normalised"])
def test_two_classes_have_the_best_support_for_their_weights(selection):
    """The k largest |g / w|, with ||w ⊙ r|| = m / ||(g / w)_S||; light entries are slow, so that a few are swapped."""
    model, x, k = random_affine(outputs=2, scale=3.0), mid_grey(3), 20
    z = model(x)
    w = 0.5 + 0.5 * torch.rand(x.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    ratio = ((model.W[0] - model.W[1]).abs() / w.flatten(1)).topk(k, dim=1)
    best = (z[:, 0] - z[:, 1]).abs() / ratio.values.norm(dim=1)
    options = {"k": k, "selection": selection, "initial_weight": 0.05, "search_steps": 4, "inner_iterations": 200}
    result = factorise(model, x, ClassTarget(z.argmin(dim=1)), weights=w, **options, **ALL)
    r = (result.images - x).flatten(1)
    assert result.reached.all()
    hits = (r != 0).gather(1, ratio.indices).sum(dim=1)
    assert ((r != 0).sum(dim=1) == k).all()
    assert (hits >= 0.9 * k).all()
    weighted = (w.flatten(1) * r).norm(dim=1)
    assert (weighted >= best * (1 - 1e-9)).all()
    assert (weighted <= best * 1.01).all()


@pytest.mark.parametrize("weighting", ["variance", "variance-mean"])
def test_flat_places_are_avoided(weighting):
    model, x = SmallNet(), mid_grey(3, (3, 12, 12))
    x[..., :6] = 0.5 + 0.02 * (x[..., :6] - 0.5)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    options = {"k": 86, "initial_weight": None, "search_steps": 3, "inner_iterations": 100, "selection": "magnitude"}
    share = {}
    for each in ("uniform", weighting):
        result = sapf_vi(model, x, goal, weighting=each, floor=1e-2, **options)
        assert result.reached.all()
        share[each] = (result.images != x)[..., :6].flatten(1).sum(dim=1) / 86
    assert (share[weighting] < share["uniform"]).all()
    assert share[weighting].mean() < 0.75 * share["uniform"].mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weighting": "prewitt"}, "weighting is 'prewitt'"),
        ({"floor": 0.0}, "floor is 0"),
        ({"k": 109}, "k is 109"),
        ({"selection": "none"}, "selection is 'none'"),
    ],
)
def test_bad_options_are_named(options, message):
    model, x = SmallNet(), mid_grey(2)
    with pytest.raises(ValueError, match=message):
        sapf_vi(model, x, ClassTarget(model(x).argsort(dim=1)[:, -2]), **(SHORT | options))
