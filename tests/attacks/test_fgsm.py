"""FGSM and the loss per label that it shares with MI-FGSM and PGD, against gradients worked out by hand."""

import pytest
import torch

from flipbook.attacks import ALL, fgsm
from flipbook.attacks._ball import default_radius
from flipbook.attacks._label_loss import label_loss
from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import Affine, mid_grey, random_affine
from tests.attacks.seen import Seen

Y = torch.tensor([[1, 1, 0, 0, 0, 0]])
Y_T = torch.tensor([[0, 0, 1, 0, 0, 0]])


def logits():
    return torch.tensor([[2.0, -1.0, 0.5, 3.0, -2.0, 0.0]], dtype=torch.float64, requires_grad=True)


def gradient(goal):
    z = logits()
    (g,) = torch.autograd.grad(label_loss(goal.bitwise(), z).sum(), z)
    return g[0]


def test_the_untargeted_loss_ascends_the_cross_entropy_of_the_true_labels():
    z = logits().detach()
    expected = torch.where(Y[0] > 0, torch.sigmoid(-z[0]), 0)
    torch.testing.assert_close(gradient(TopKExcludes(Y, 2)), expected)
    assert label_loss(TopKExcludes(Y, 2).bitwise(), z)[0] == pytest.approx(float(z.sigmoid().log()[0, :2].sum()))


def test_targets_descend_theirs_and_other_labels_never_enter():
    z = logits().detach()
    expected = (Y - Y_T)[0] * torch.sigmoid(-z[0])
    torch.testing.assert_close(gradient(TopKEquals(Y_T, 1, present=Y)), expected)
    torch.testing.assert_close(gradient(HideLabels(Y, Y_T)), expected)


def test_a_true_label_that_is_a_target_is_to_come():
    goal = TopKEquals(torch.tensor([[1, 0, 1, 0, 0, 0]]), 2, present=Y)
    assert torch.equal(gradient(goal).sign(), torch.tensor([-1.0, 1, -1, 0, 0, 0]).double())


def test_a_label_vector_has_the_binary_cross_entropy_towards_it():
    z = logits().detach()
    goal = LabelVector(Y)
    torch.testing.assert_close(gradient(goal), torch.sigmoid(z[0]) - Y[0])


def test_a_class_has_its_cross_entropy_and_a_codeword_that_of_its_bits():
    z = logits()
    goal = ClassTarget(torch.tensor([3]))
    value = label_loss(goal.bitwise(), z)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(z, goal.target)[None])
    code = torch.tensor([[1, -1, 1, -1, 1, -1], [1, 1, 1, -1, -1, -1]]).double()
    coded = label_loss(ClassTarget(torch.tensor([1]), code).bitwise(), z)
    torch.testing.assert_close(coded, label_loss(LabelVector(code[1:] > 0), z))


@pytest.mark.parametrize("goal", [TopKExcludes(Y, 2), TopKEquals(Y_T, 1, present=Y), LabelVector(Y)])
def test_saturated_logits_have_finite_losses_and_gradients(goal):
    z = (logits() * 1e4).float().detach().requires_grad_()
    value = label_loss(goal.bitwise(), z)
    (g,) = torch.autograd.grad(value.sum(), z)
    assert value.isfinite().all()
    assert g.isfinite().all()


def wide_step(radius, step=0.1):
    model = random_affine(scale=10.0)
    x = mid_grey(1)
    goal = TopKExcludes(torch.nn.functional.one_hot(model(x).argmax(dim=1), 6), 2)
    return model, x, fgsm(model, x, goal, step=step, radius=radius)


def test_a_step_longer_than_the_radius_ends_on_the_sphere_and_keeps_its_direction():
    model, x, result = wide_step(radius=0.7)
    δ = (result.images - x).flatten()
    own = model.W[model(x).argmax()]
    assert result.reached.all()
    assert float(δ.norm()) == pytest.approx(0.7, rel=1e-12)
    torch.testing.assert_close(δ, -0.7 / len(δ) ** 0.5 * own.sign())
    assert [int(v) for v in (result.iterations, result.forwards, result.backwards, result.first_success)] == [
        1,
        3,
        1,
        4,
    ]


def test_a_shorter_step_stays_as_it_is():
    model, x, result = wide_step(radius=2.0)
    own = model.W[model(x).argmax()].view_as(x)
    torch.testing.assert_close(result.images, x - 0.1 * own.sign())


@pytest.mark.parametrize(
    ("goal", "radius"),
    [
        (TopKExcludes(Y, 2), 5.0),
        (HideLabels(Y), 5.0),
        (TopKEquals(Y_T, 1, present=Y), 1.0),
        (LabelVector(1 - Y), 1.0),
        (ClassTarget(torch.tensor([2])), 1.0),
    ],
)
def test_the_radius_is_that_of_the_comparison_unless_given(goal, radius):
    model, x = Seen(random_affine()), mid_grey(1, shape=(3, 24, 24))
    model.model = random_affine(shape=(3, 24, 24))
    model.model.b[:2] += 9  # so that no goal is reached by the clean image
    fgsm(model, x, goal, step=0.13)
    expected = min(radius, 0.13 * 1728**0.5)
    assert float(model.norms(x[0])[-1]) == pytest.approx(expected, rel=1e-6)
    assert default_radius(goal, 0.3) == 0.3


FAMILY = ("fgsm", "mi_fgsm", "pgd", "rank_i", "tkalc", "tkmia")


@pytest.mark.parametrize("name", FAMILY)
def test_an_image_without_a_gradient_stands_still(name):
    model = Seen(Affine(torch.zeros(6, 108), torch.tensor([1.0, 0.5, 0, -0.5, -1, -2])))
    x = mid_grey(2)
    extra = {} if name == "fgsm" else {"max_iterations": 3}
    if name == "tkalc":
        extra["correlation"] = torch.rand(6, 6)
    result = ALL[name](model, x, TopKExcludes(Y.expand(2, -1), 2), **extra)
    assert not result.reached.any()
    assert all(torch.equal(seen, x) for seen in model.batches[1:])
