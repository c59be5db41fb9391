"""MASW: three iterations by hand, what every switch changes, and when an image leaves."""

import pytest
import torch
from torch import nn

from flipbook.attacks.engines.projected_descent import Loss, Plain, descend
from flipbook.attacks.masw import constraint_factors, margins_to_next, masw
from flipbook.goals import LabelVector, TopKEquals, TopKExcludes
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.cases import images_and_goal

INF = torch.inf


class Seen(nn.Module):
    """A model that keeps every batch of images it is asked about."""

    def __init__(self, model):
        super().__init__()
        self.model, self.images = model, []
        self.eval()

    def forward(self, x):
        self.images.append(x.detach().clone())
        return self.model(x)


def two_pixels():
    """Logits (4 x_0 - 1, 2 x_1 - 0.5, 0, -2) at (0.5, 0.5), of which the first two labels are the image's."""
    W = torch.tensor([[4.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    model = Affine(W, torch.tensor([-1.0, -0.5, 0.0, -2.0])).eval()
    x = torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64)
    return model, x, TopKExcludes(torch.tensor([[1, 1, 0, 0]]), 1, hide=True)


def test_three_iterations_by_hand():
    """With logits (1, 0.5, 0, -2) rank and threshold are violated by 1 and 0.5 each: four constraints, λ = 0.5.

    Start: w = 1, L = 1.5, gradient (4, 2), δ = -(0.04, 0.02); L fell, ε = 0.5 · 1.1, w = (0.55, 1) twice.
    Then: ζ = (0.84, 0.46), L = 0.55 · 0.84 + 0.46 = 0.922; w̄ = w / 0.775, gradient (4 w̄_0, 2 w̄_1); ε = 0.605.
    Then: ζ = (0.72645.., 0.40838..), w = (0.605 / 0.84, 1), L = 0.93160.. rose: ε = (0.605 + 0.55) / 2.
    """
    model, x, goal = two_pixels()
    seen = Seen(model)
    names = ("lagrangian", "threshold", "weight", "hinges", "violated", "loss")
    result = masw(seen, x, goal, eta=1.1, eps0=0.5, learning_rate=0.01, max_iterations=3, trace=names)
    δ1 = torch.tensor([-0.04, -0.02], dtype=torch.float64)
    δ2 = δ1 - 0.01 * torch.tensor([4 * 0.55, 2.0], dtype=torch.float64) / 0.775
    ζ2 = torch.stack([1 + 4 * δ2[0], 0.5 + 2 * δ2[1]])
    w2 = 0.605 / 0.84
    δ3 = δ2 - 0.01 * torch.tensor([4 * w2, 2.0], dtype=torch.float64) / ((w2 + 1) / 2)
    path = torch.cat(seen.images[3:]).flatten(1) - 0.5  # behind the check of the inputs and the look at the clean image
    torch.testing.assert_close(path, torch.stack([0 * δ1, δ1, δ2, δ3]), rtol=0, atol=1e-12)
    L2 = w2 * ζ2[0] + ζ2[1]
    assert L2 > 0.922
    trace = {name: values[0, :3].tolist() for name, values in result.trace.items()}
    assert trace["lagrangian"] == pytest.approx([1.5, 0.922, float(L2)])
    assert trace["threshold"] == pytest.approx([0.55, 0.605, 0.5775])
    assert trace["weight"] == pytest.approx([1, 0.775, (w2 + 1) / 2])
    assert trace["hinges"] == pytest.approx([3, 2.6, 2 * float(ζ2.sum())])
    assert trace["violated"] == [4, 4, 4]
    assert trace["loss"] == pytest.approx([1.5, 0.922 / 0.775, float(L2) / ((w2 + 1) / 2)])


@pytest.mark.parametrize("kind", ["excluded", "ranked", "labels", "hidden", "one-hot", "codebook"])
def test_without_weights_it_is_descent_of_the_plain_hinges(kind):
    model = SmallNet(outputs=8 if kind == "codebook" else 6)
    x, goal = images_and_goal(model, kind)
    options = {"max_iterations": 15, "radius": 0.5}
    plain = descend(
        model,
        x,
        goal,
        lambda _: Loss(lambda goal, z: 0.6 * (-goal.margins(z)).clamp(min=0).sum(dim=1)),
        lambda _: Plain(0.004),
        **options,
    )
    result = masw(model, x, goal, weights="none", nu=2.0, lam1=0.3, learning_rate=0.004, **options)
    torch.testing.assert_close(result.images, plain.images, atol=1e-9, rtol=0)
    assert torch.equal(result.iterations, plain.iterations)


def conflict(n=4):
    """Untargeted images of a network with two labels each, in a ball too small for most."""
    model, x = SmallNet(), mid_grey(n)
    own = torch.zeros(n, 6).bool().scatter(1, model(x).topk(2, dim=1).indices, True)
    return model, x, TopKExcludes(own, 2, hide=True), {"radius": 0.3, "max_iterations": 12, "stop": "never"}


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": "none"},
        {"weights": "fixed", "eta": 1.5},
        {"weights": "spl", "eta": 1.5},
        {"weights": "hard", "eps0": 0.5},
        {"normalise": False},
        {"eps0": 0.3},
        {"eta": 1.5},
        {"nu": 0.5},
        {"lam1": 0.9},
        {"lam2": 0.0},
        {"form": "theta", "margin": 0.3},
        {"reference": "k+1"},
        {"margin": 0.3},
        {"learning_rate": 0.01},
        {"radius": 0.01},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_every_switch_changes_the_path(changed):
    model, x, goal, options = conflict()
    paths = []
    for extra in ({}, changed):
        seen = Seen(model)
        masw(seen, x, goal, **(options | extra))
        paths.append(seen.images[-1])
    assert (paths[0] - paths[1]).abs().amax(dim=(1, 2, 3)).max() > 1e-6


def test_factors_go_to_the_two_families():
    _, x, goal, _ = conflict()
    assert constraint_factors(x, goal, 0.2, 0.7).tolist() == [[0.2] * 6 + [0.7] * 6] * 4
    assert constraint_factors(x, goal.ranking, 0.2, 0.7).tolist() == [[0.2]] * 4
    assert constraint_factors(x, LabelVector(goal.present), 0.2, 0.7).tolist() == [[0.2]] * 4


def test_the_printed_reference_is_whichever_label_has_rank_k_plus_1():
    z = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    own = torch.tensor([[1, 1, 0, 0]])
    hidden = TopKExcludes(own, 1, hide=True)
    assert hidden.margins(z).tolist() == [[-2, -1, INF, INF, -3, -2, INF, INF]]
    assert margins_to_next(hidden, z).tolist() == [[-1, 0, INF, INF, -3, -2, INF, INF]]
    ranked = TopKEquals(torch.tensor([[0, 0, 1, 0]]), 1, present=own)
    assert ranked.margins(z).tolist() == [[-2, -1, -2, 1]]
    assert margins_to_next(ranked, z).tolist() == [[-1, 0, -1, 2]]
    probable = TopKExcludes(own, 1, scores="probability")
    torch.testing.assert_close(margins_to_next(probable, z)[0, 0], z[0, 1].sigmoid() - z[0, 0].sigmoid())


def test_the_printed_reference_pushes_up_a_label_that_is_to_go():
    model, x, _ = two_pixels()
    options = {"lam2": 0.0, "weights": "none", "learning_rate": 0.01, "max_iterations": 1, "reference": "k+1"}
    seen = Seen(model)
    masw(seen, x, TopKExcludes(torch.tensor([[1, 1, 0, 0]]), 1), **options)
    δ = (seen.images[-1] - x).flatten()
    assert δ[0] < 0 < δ[1]


def test_an_image_leaves_with_its_constraints_or_its_ranking_or_never():
    """A label that must fall by 1 below another and by 2 below 0 reaches the ranking half way."""
    W = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    model, x = Affine(W, torch.tensor([1.5, 1.0])).eval(), torch.full((1, 1, 1, 2), 0.9, dtype=torch.float64)
    model.W = 4 * model.W
    model.b = torch.tensor([0.9 * -4 + 2.0, 1.0], dtype=torch.float64)  # z = (2, 1)
    goal = TopKExcludes(torch.tensor([[1, 0]]), 1, hide=True)
    options = {"weights": "none", "learning_rate": 0.01, "max_iterations": 60}
    runs = {stop: masw(model, x, goal, stop=stop, trace=("violated",), **options) for stop in ("constraints", "topk")}
    ranking = runs["topk"]
    assert not ranking.reached
    assert bool(goal.ranking.reached(model(ranking.images)))
    assert runs["constraints"].reached
    assert ranking.iterations < runs["constraints"].iterations < 60
    assert int((~ranking.trace["violated"].isnan()).sum()) == int(ranking.iterations) + 1
    on = masw(model, x, goal, stop="never", trace=("violated",), **options)
    assert on.backwards == 60
    assert not on.trace["violated"].isnan().any()
    assert torch.equal(on.images, runs["constraints"].images)  # the smallest success


@pytest.mark.parametrize("k", [1, 5])
def test_the_smallest_and_the_largest_k(k):
    model, x = random_affine(), mid_grey(3)
    z = model(x)
    first = torch.zeros_like(z).scatter(1, z.argmax(dim=1, keepdim=True), 1)
    goal = TopKExcludes(first, k, hide=True)
    assert masw(model, x, goal, learning_rate=0.02, max_iterations=200).reached.all()
    target = torch.ones_like(z).scatter(1, z.topk(6 - k, dim=1).indices, 0)
    ranked = TopKEquals(target, k, present=first, hide=True)
    assert masw(model, x, ranked, radius=5.0, learning_rate=0.02, max_iterations=300).reached.all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "hinge"}, "form is 'hinge'"),
        ({"reference": "k"}, "reference is 'k'"),
        ({"stop": "grad"}, "stop is 'grad'"),
        ({"weights": "soft"}, "weights is 'soft'"),
        ({"trace": ("slack",)}, "trace is 'slack'"),
        ({"lam1": -1.0}, "lam1 is -1.0"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"nu": 0}, "nu is 0"),
        ({"eta": 0.9}, "eta is 0.9"),
        ({"radius": 0}, "radius is 0"),
    ],
)
def test_bad_settings(options, message):
    model, x, goal = two_pixels()
    with pytest.raises(ValueError, match=message) as caught:
        masw(model, x, goal, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"reference": "k+1"}, {"stop": "topk"}])
def test_options_about_a_ranking_need_one(options):
    model, x, _ = two_pixels()
    with pytest.raises(ValueError, match="works on TopKExcludes and TopKEquals, not on LabelVector"):
        masw(model, x, LabelVector(torch.zeros(1, 4)), **options)
