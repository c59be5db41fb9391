"""kFool: its step in closed form on affine models, which labels it is made of, and when an image leaves."""

import pytest
import torch
from torch import nn

from flipbook.attacks.kfool import kfool
from flipbook.goals import TopKEquals, TopKExcludes
from tests.affine import Affine, SmallNet, mid_grey, random_affine


def highest(z, number=1):
    """Mark the labels of largest logit."""
    return torch.zeros_like(z).scatter(1, z.argsort(dim=1, descending=True)[:, :number], 1.0).bool()


def step_by_hand(model, z, present, k):
    """Return |a| W / |W| of one image, straight from the definition."""
    order = z.argsort(descending=True).tolist()
    m = next(j for j in order if present[j])
    W, a = 0, 0
    for p in [j for j in order[: k + 1] if j != m]:
        d = model.W[p] - model.W[m]
        W, a = W + d / d.norm(), a + (z[p] - z[m]) / d.norm()
    return abs(a) * W / W.norm()


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("labels", [1, 2])
def test_one_step_in_closed_form(k, labels):
    """The second label of two is among those that the first is pushed towards."""
    model, x = random_affine(), mid_grey(5)
    z = model(x)
    goal = TopKExcludes(highest(z, labels), k)
    result = kfool(Seen(model), x, goal, max_iterations=1, overshoot=0)
    for n in range(5):
        r = step_by_hand(model, z[n], goal.present[n], k)
        torch.testing.assert_close(Seen.last[n].flatten(), (x[n].flatten() + r).clamp(0, 1), atol=1e-12, rtol=0)
    assert result.forwards.tolist() == [3] * 5
    assert result.backwards.tolist() == [k] * 5


class Seen(nn.Module):
    """Remembers the images that it was asked about last."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, x):
        Seen.last = x.detach()
        return self.model(x)


def test_one_label_and_k_of_one_is_deepfools_step():
    """It ends on the tie with the runner-up; an overshoot of a share goes so much further and succeeds."""
    model, x = random_affine(), mid_grey(6)
    z = model(x)
    best, second = z.argsort(dim=1, descending=True)[:, :2].T
    d = model.W[second] - model.W[best]
    lead = (z.gather(1, best[:, None]) - z.gather(1, second[:, None])).squeeze(1)
    goal = TopKExcludes(highest(z), 1)
    result = kfool(model, x, goal, overshoot=0.1)
    assert result.reached.all()
    assert (result.iterations == 1).all()
    expected = 1.1 * lead[:, None] * d / d.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close((result.images - x).flatten(1), expected, atol=1e-12, rtol=0)
    kfool(Seen(model), x, goal, max_iterations=1, overshoot=0)
    tied = model(Seen.last)
    torch.testing.assert_close(tied.gather(1, best[:, None]), tied.gather(1, second[:, None]), atol=1e-12, rtol=0)


def test_distances_to_labels_above_and_below_are_summed_with_their_signs():
    """The true label is between two others, as far from either: a = 0, no step, and the image leaves."""
    W = 4 * torch.eye(3, 12, dtype=torch.float64)
    model, x = Affine(W).eval(), torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64)
    x.view(-1)[:3] = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    result = kfool(model, x, TopKExcludes(torch.tensor([[0, 1, 0]]), 2))
    assert torch.equal(result.images, x)
    assert (result.forwards.tolist(), result.backwards.tolist()) == ([2], [2])


def test_the_label_pushed_is_chosen_anew_in_every_iteration():
    """Two true labels of which the second takes over once the first has been pushed down."""
    model, x = SmallNet(), mid_grey(6)
    goal = TopKExcludes(highest(model(x), 2), 3)
    result = kfool(model, x, goal, overshoot=0)
    assert result.reached.all()
    assert result.iterations.max() > 1
    assert torch.equal(result.backwards, 3 * result.iterations + 3)  # those of the image that turned out to be done too
    assert torch.equal(result.first_success, 2 + 4 * result.iterations)


def plain_kfool(model, x0, present, k, pushed, overshoot, steps):
    """The published loop for one image: iterates, up to the first without a true label among the k highest."""
    x, seen = x0, []
    m = max((j for j in range(len(present)) if present[j]), key=lambda j: float(model(x0[None])[0, j]))
    for _ in range(steps):
        pixels = x.clone().requires_grad_()
        z = model(pixels[None])[0]
        order = sorted(range(len(z)), key=lambda j: -float(z[j]))
        if not any(present[j] for j in order[:k]):
            break
        if pushed == "current":
            m = next(j for j in order if present[j])
        W, a = torch.zeros_like(x), 0.0
        for p in [j for j in order if j != m][:k]:
            (d,) = torch.autograd.grad(z[p] - z[m], pixels, retain_graph=True)
            W, a = W + d / d.norm(), a + float(z[p] - z[m]) / d.norm()
        x = (x + (1 + overshoot) * a.abs() * W / W.norm()).clamp(0, 1)
        seen.append(x)
    return seen


@pytest.mark.parametrize("pushed", ["current", "start"])
@pytest.mark.parametrize(("labels", "k", "overshoot"), [(1, 1, 0.02), (2, 3, 0.0), (3, 2, 0.02)])
def test_every_step_is_that_of_the_published_loop(pushed, labels, k, overshoot):
    model, images = SmallNet(gain=6.0), mid_grey(5, (3, 6, 6))
    present, steps = highest(model(images), labels), 0
    for n in range(5):
        batch = []

        def watched(v, batch=batch):
            batch.append(v.detach()[0])
            return model(v)

        goal, options = TopKExcludes(present[n : n + 1], k), {"pushed": pushed, "overshoot": overshoot}
        result = kfool(watched, images[n : n + 1], goal, max_iterations=8, **options)
        plain = plain_kfool(model, images[n], present[n].tolist(), k, pushed, overshoot, 8)
        tried = batch[-int(result.forwards) :][2:]  # after the look at the clean image, and the first step's
        assert len(tried) == len(plain)
        for mine, theirs in zip(tried, plain, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)
        steps += len(plain)
    assert steps >= 5


def test_leaves_as_soon_as_the_ranking_is_reached():
    """Whatever else the goal asks: signs of the threshold are not worked for."""
    model, x = random_affine(), mid_grey(4)
    model.b = model.b + 20
    ranking = TopKExcludes(highest(model(x)), 2)
    plain, hiding = (kfool(model, x, goal) for goal in (ranking, TopKExcludes(ranking.present, 2, hide=True)))
    assert plain.reached.all()
    assert not hiding.reached.any()
    assert torch.equal(plain.images, hiding.images)
    assert torch.equal(plain.backwards, hiding.backwards)


@pytest.mark.parametrize("rows", ["zero", "same", "opposite"])
def test_without_a_direction_the_image_stays(rows):
    """All gradients 0, all differences 0, or differences that cancel."""
    w = random_affine(outputs=1).W
    W = {"zero": [0 * w] * 3, "same": [w] * 3, "opposite": [0 * w, w, -w]}[rows]
    model, x = Affine(torch.cat(W), torch.tensor([9.0, 0.0, 0.0])).eval(), mid_grey(2)
    result = kfool(model, x, TopKExcludes(torch.tensor([[1, 0, 0]] * 2), 2))
    assert torch.equal(result.images, x)
    assert not result.reached.any()
    assert result.forwards.tolist() == [2, 2]


def test_no_ball_and_the_box():
    model, x = random_affine(scale=0.1), torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    result = kfool(model, x, TopKExcludes(highest(model(x)), 4), overshoot=0.05)
    assert result.reached.all()
    assert (result.images - x).flatten(1).norm(dim=1).max() > 1
    assert result.images.min() == 0 or result.images.max() == 1


def test_refusals():
    model, x = random_affine(), mid_grey(2)
    present = highest(model(x))
    with pytest.raises(ValueError, match="kfool works on TopKExcludes, not on TopKEquals"):
        kfool(model, x, TopKEquals(present, 1, present=present))
    with pytest.raises(ValueError, match=r"overshoot is -0\.1"):
        kfool(model, x, TopKExcludes(present, 1), overshoot=-0.1)
    with pytest.raises(ValueError, match="pushed is 'clean': choose one of 'current', 'start'"):
        kfool(model, x, TopKExcludes(present, 1), pushed="clean")
    with pytest.raises(ValueError, match="max_iterations is 0"):
        kfool(model, x, TopKExcludes(present, 1), max_iterations=0)
