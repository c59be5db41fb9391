"""TkMIA as adapted here: its loss by hand, its steps against torch's optimiser, its limit TkML."""

import pytest
import torch

from flipbook.attacks import ALL, tkmia, tkml
from flipbook.attacks.tkmia import leave_and_stay
from flipbook.goals import LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks.seen import Seen

Z = torch.tensor([[4.0, 3, 2, 1, 0]], dtype=torch.float64)


def test_the_loss_has_one_bracket_a_set():
    """With k = 2 the three smallest have mean 1, the two largest 3.5."""
    present = torch.tensor([[1, 1, 0, 0, 0]])
    target = torch.tensor([[0, 1, 0, 1, 0]])
    assert float(leave_and_stay(TopKExcludes(present, 2), Z)) == 4 - 1
    assert float(leave_and_stay(TopKEquals(target, 2, present=present), Z)) == (4 - 1) + (3.5 - 1)


def test_without_a_label_to_leave_the_first_bracket_is_gone_and_so_is_its_gradient():
    target = torch.tensor([[0, 1, 0, 1, 0]])
    z = Z.clone().requires_grad_()
    value = leave_and_stay(TopKEquals(target, 2, present=torch.tensor([[0, 1, 0, 0, 0]])), z)
    (g,) = torch.autograd.grad(value.sum(), z)
    assert value.tolist() == [3.5 - 1]
    assert torch.equal(g, torch.tensor([[0.5, 0.5, 0, -1, 0]]).double())


def test_without_momentum_and_decay_the_untargeted_attack_is_tkml():
    model, x = SmallNet(), mid_grey(4)
    goal = TopKExcludes(torch.nn.functional.one_hot(model(x).argmax(dim=1), 6), 2)
    options = {"learning_rate": 0.01, "max_iterations": 30}
    a = tkmia(model, x, goal, momentum=0, weight_decay=0, **options)
    b = tkml(model, x, goal, **options)
    assert a.reached.any()
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.iterations, b.iterations)


def test_steps_are_those_of_sgd_on_the_papers_range():
    """Rate 0.01 and weight decay 1e-4 for images in [-1, 1] are the defaults here; no bound, no box in reach."""
    model, x = SmallNet(), mid_grey(1)
    z = model(x)
    present = torch.nn.functional.one_hot(z.argmax(dim=1), 6)
    goal = TopKEquals(torch.nn.functional.one_hot(z.argmin(dim=1), 6), 1, present=present)
    seen = Seen(model)
    tkmia(seen, x, goal, radius=torch.inf, max_iterations=12, stop_on_success=False)
    wide = torch.zeros_like(x, requires_grad=True)
    optimiser = torch.optim.SGD([wide], lr=0.01, momentum=0.9, weight_decay=1e-4)
    for shown in seen.batches[3:]:
        torch.testing.assert_close(shown, (2 * x - 1 + wide.detach() + 1) / 2, atol=1e-12, rtol=0)
        optimiser.zero_grad()
        leave_and_stay(goal, model((2 * x - 1 + wide + 1) / 2)).sum().backward()
        optimiser.step()
    assert float(wide.detach().norm()) > 0.1


@pytest.mark.parametrize(("option", "value"), [("momentum", 1.0), ("momentum", -0.1), ("weight_decay", -1.0)])
def test_settings_out_of_range_are_named(option, value):
    model, x = random_affine(), mid_grey(1)
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        tkmia(model, x, TopKExcludes(torch.eye(6)[:1], 2), **{option: value})


@pytest.mark.parametrize("name", ["tkmia", "tkalc"])
def test_other_goals_are_refused_by_name(name):
    extra = {"correlation": torch.zeros(6, 6)} if name == "tkalc" else {}
    with pytest.raises(ValueError, match=f"{name} works on TopKExcludes and TopKEquals, not on LabelVector"):
        ALL[name](random_affine(), mid_grey(1), LabelVector(torch.ones(1, 6)), **extra)
