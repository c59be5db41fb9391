"""FGSM, and the losses that it shares with MI-FGSM and PGD, against gradients worked out by hand."""

import pytest
import torch

from flipbook.attacks import ALL, fgsm
from flipbook.attacks.engines.label_losses import goal_loss, label_loss
from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import Affine, mid_grey, random_affine
from tests.attacks.seen import Seen

Y = torch.tensor([[1, 1, 0, 0, 0, 0]])
Y_T = torch.tensor([[0, 0, 1, 0, 0, 0]])


def logits():
    return torch.tensor([[2.0, -1.0, 0.5, 3.0, -2.0, 0.0]], dtype=torch.float64, requires_grad=True)


def gradient(goal):
    z = logits()
    (g,) = torch.autograd.grad(label_loss(goal.per_label(), z).sum(), z)
    return g[0]


def test_the_untargeted_loss_ascends_the_cross_entropy_of_the_true_labels():
    z = logits().detach()
    expected = torch.where(Y[0] > 0, torch.sigmoid(-z[0]), 0)
    torch.testing.assert_close(gradient(TopKExcludes(Y, 2)), expected)
    assert label_loss(TopKExcludes(Y, 2).per_label(), z)[0] == pytest.approx(float(z.sigmoid().log()[0, :2].sum()))


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
    value = label_loss(goal.per_label(), z)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(z, goal.target)[None])
    code = torch.tensor([[1, -1, 1, -1, 1, -1], [1, 1, 1, -1, -1, -1]]).double()
    coded = label_loss(ClassTarget(torch.tensor([1]), code).per_label(), z)
    torch.testing.assert_close(coded, label_loss(LabelVector(code[1:] > 0), z))


@pytest.mark.parametrize("goal", [TopKExcludes(Y, 2), TopKEquals(Y_T, 1, present=Y), LabelVector(Y)])
def test_saturated_logits_have_finite_losses_and_gradients(goal):
    z = (logits() * 1e4).float().detach().requires_grad_()
    value = label_loss(goal.per_label(), z)
    (g,) = torch.autograd.grad(value.sum(), z)
    assert value.isfinite().all()
    assert g.isfinite().all()


def test_the_loss_of_a_goal_is_the_cross_entropy_towards_it():
    z, σ = logits().detach(), torch.nn.functional.logsigmoid
    hidden = -σ(-z[:, :2]).sum(dim=1)
    torch.testing.assert_close(goal_loss(HideLabels(Y), z), hidden)
    torch.testing.assert_close(goal_loss(HideLabels(Y, Y_T), z), hidden - σ(z[:, 2]))
    towards = torch.nn.functional.binary_cross_entropy_with_logits(z, Y.double(), reduction="sum")
    torch.testing.assert_close(goal_loss(LabelVector(Y), z), towards[None])
    second_other = 0.5  # of 3, 0.5, 0 and -2
    torch.testing.assert_close(goal_loss(TopKExcludes(Y, 2), z), -σ(second_other - z[:, :2]).sum(dim=1))
    one = ClassTarget(torch.tensor([3]))
    torch.testing.assert_close(goal_loss(one, z), torch.nn.functional.cross_entropy(z, one.target)[None])
    code = torch.tensor([[1, -1, 1, -1, 1, -1], [1, 1, 1, -1, -1, -1]]).double()
    coded = goal_loss(ClassTarget(torch.tensor([1]), code), z)
    torch.testing.assert_close(coded, goal_loss(LabelVector(code[1:] > 0), z))
    torch.testing.assert_close(goal_loss(HideLabels(Y) & one, z), hidden + goal_loss(one, z))


@pytest.mark.parametrize("goal", [HideLabels(Y), TopKExcludes(Y, 2), TopKEquals(Y_T, 1, present=Y), LabelVector(1 - Y)])
def test_the_gradient_of_a_goals_loss_is_with_what_is_missed(goal):
    """What is missed by far has all its weight, what is reached next to none: MASW's loss has it the other way."""
    z = torch.tensor([[40.0, -40.0, 1.0, -30.0, -30.0, -30.0]], dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(goal_loss(goal, z).sum(), z)
    assert g[0, 0] > 0.9
    (opposite,) = torch.autograd.grad(label_loss(HideLabels(Y), z).sum(), z)
    assert opposite[0, 0] < 1e-9 < 0.9 < opposite[0, 1]


def wide_step(bound, step=0.1):
    model = random_affine(scale=10.0)
    x = mid_grey(1)
    goal = TopKExcludes(torch.nn.functional.one_hot(model(x).argmax(dim=1), 6), 2)
    return model, x, fgsm(model, x, goal, norm="l2", bound=bound, step=step, direction="sign", loss="labels")


def test_a_sign_step_longer_than_the_l2_radius_ends_on_the_sphere_and_keeps_its_direction():
    model, x, result = wide_step(bound=0.7)
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


def test_a_shorter_sign_step_stays_as_it_is():
    model, x, result = wide_step(bound=2.0)
    own = model.W[model(x).argmax()].view_as(x)
    torch.testing.assert_close(result.images, x - 0.1 * own.sign())


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
    assert all(torch.equal(seen, x) for seen in model.batches[2:])
