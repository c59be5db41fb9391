"""MLA-LP: the first step in closed form, and the rules for going back, asking for more and giving up."""

import math

import pytest
import torch
from torch import nn

from flipbook.attacks.mla_lp import mla_lp
from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKExcludes
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.plain_mla_lp import plain_mla_lp

LINPROG = 1e-6  # what HiGHS lets a constraint be missed by, and so a basic pixel be off


class Seen(nn.Module):
    """Remembers the images that it was asked about."""

    def __init__(self, model):
        super().__init__()
        self.model, self.x = model, []
        self.eval()

    def forward(self, x):
        self.x.append(x.detach())
        return self.model(x)


@pytest.mark.parametrize("code", [False, True])
def test_the_first_step_in_closed_form(code):
    """One loss L = log(1 + e^-m): s = (L - log 2) / ‖∇L‖₁ against its sign; m = y z, for an output code 2 y z."""
    W = random_affine(outputs=1).W
    model, x = Seen(Affine(W, torch.tensor([0.4])).eval()), mid_grey(1)
    z = model(x)
    y = -z.sign()
    code_goal = ClassTarget(torch.tensor([int(y > 0)]), torch.tensor([[-1.0], [1.0]]))
    mla_lp(model, x, code_goal if code else LabelVector(y > 0), max_iterations=1)
    sharpness = 2.0 if code else 1.0
    m = sharpness * float(y * z)
    gradient = -sharpness / (1 + math.exp(m)) * y * W[0]
    s = (math.log1p(math.exp(-m)) - math.log(2)) / gradient.abs().sum()
    torch.testing.assert_close(model.x[-1], x - (s * gradient.sign()).view_as(x), atol=1e-9, rtol=0)


def test_thresholds_are_lowered_until_the_label_gives_way():
    """The loss is convex: a step to its linearised threshold falls short, so one programme cannot do it."""
    model, x = random_affine(outputs=1), mid_grey(3)
    goal = LabelVector(model(x) < 0)
    assert not mla_lp(model, x, goal, max_iterations=1).reached.any()
    result = mla_lp(model, x, goal)
    assert result.reached.all()
    assert (result.iterations == 2).all()
    assert torch.equal(result.first_success, 1 + 3 * result.iterations)


def test_goes_back_to_the_clean_image_after_losing_labels():
    """Two labels without a gradient at the start are lost on the way; the second programme begins at the start again.

    It asks for more of the label that did not give way. The labels are lost again, nothing is left to lower: over.
    """

    class Ridge(nn.Module):
        def forward(self, x):
            t = x.flatten(1).mean(dim=1, keepdim=True) - 0.5
            return torch.cat([t - 0.05, 10 - 1e4 * t**2, 10 - 1e4 * t**2], dim=1)

    model, x = Seen(Ridge()), torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    result = mla_lp(model, x, LabelVector(torch.ones(1, 3)))
    _, _, _, first_start, first_step, second_start, second_step = model.x
    assert torch.equal(first_start, x)
    assert torch.equal(second_start, x)
    assert (second_step - x).abs().max() > (first_step - x).abs().max() > 0
    assert torch.equal(result.images, x)
    assert (result.forwards.tolist(), result.backwards.tolist()) == ([5], [6])


def test_gives_up_where_no_step_can_do_it():
    model, x = random_affine(scale=1e-3), mid_grey(3)
    model.b = model.b + 5
    result = mla_lp(model, x, LabelVector(torch.zeros(3, 6)))
    assert not result.reached.any()
    assert torch.equal(result.images, x)
    assert result.backwards.tolist() == [6, 6, 6]  # one linearisation showed it
    assert result.forwards.tolist() == [3, 3, 3]


def test_gives_up_when_it_would_repeat_itself():
    """Two labels of one logit and its negative cannot both be on: thresholds fall to 0.1, then it is over."""
    W = random_affine(outputs=1).W
    model, x = Affine(torch.cat([W, -W])).eval(), mid_grey(2)
    result = mla_lp(model, x, LabelVector(torch.ones(2, 2)))
    assert not result.reached.any()
    assert (result.backwards < 2 * 12).all()


def test_free_labels_set_no_constraint():
    model, x = SmallNet(), mid_grey(3)
    hidden = (model(x) > 0) & (torch.arange(6) < 3)
    result = mla_lp(model, x, HideLabels(hidden), max_iterations=20)
    assert result.reached.all()
    assert torch.isfinite(result.images).all()


def test_a_ranking_is_worked_for_label_by_label():
    """The same programmes as for hiding Y, with p = sigmoid z; only the ranking decides when an image leaves."""
    model, x = random_affine(), mid_grey(5)
    present = torch.zeros(5, 6).bool().scatter(1, model(x).argsort(dim=1)[:, -2:], True)
    seen = [Seen(model) for _ in range(2)]
    for net, goal in zip(seen, (TopKExcludes(present, 2), HideLabels(present)), strict=True):
        mla_lp(net, x, goal, max_iterations=1)
    assert len(seen[0].x) == len(seen[1].x)
    assert torch.equal(seen[0].x[-1], seen[1].x[-1])
    assert not torch.equal(seen[0].x[-1], x)
    result = mla_lp(model, x, TopKExcludes(present, 2))
    assert (result.iterations[result.reached] * 4 + 1 == result.first_success[result.reached]).all()


def test_the_rest_can_be_kept():
    """Each label that the goal does not name gets a constraint: the programmes are those of the whole label vector."""
    model, x = random_affine(), mid_grey(40)
    before = model(x) > 0
    present = torch.zeros(40, 6).bool().scatter(1, model(x).argmax(dim=1, keepdim=True), True)
    x, before, present = (each[before.any(dim=1)] for each in (x, before, present))
    free, kept = (mla_lp(model, x, HideLabels(present), rest=rest) for rest in ("free", "kept"))
    side = 2.0 * before - 1
    worst = [float((side * model(r.images))[~present].min()) for r in (free, kept)]
    assert worst[0] < -0.02
    assert worst[1] > -1e-3  # not 0: losses are convex, so that a linear programme falls short a little
    seen = [Seen(model) for _ in range(3)]
    mla_lp(seen[0], x, LabelVector(before & ~present), max_iterations=1, chunk=64)
    mla_lp(seen[1], x, HideLabels(present), rest="kept", max_iterations=1, chunk=64)
    mla_lp(seen[2], x, TopKExcludes(present, 2), rest="kept", max_iterations=1, chunk=64)
    assert torch.equal(seen[0].x[-1], seen[1].x[-1])
    there = TopKExcludes(present, 2).reached(model(x))
    assert torch.equal(seen[0].x[-1][~there], seen[2].x[-1])
    same = [mla_lp(model, x, LabelVector(before & ~present), rest=rest).images for rest in ("free", "kept")]
    assert torch.equal(*same)
    with pytest.raises(ValueError, match="rest is 'keep'"):
        mla_lp(model, x, HideLabels(present), rest="keep")


def test_chunks_change_nothing_but_the_memory():
    model, x = SmallNet(), mid_grey(5)
    target = model(x) > 0
    target[:, 2] ^= True
    whole, parts = (mla_lp(model, x, LabelVector(target), max_iterations=4, chunk=c) for c in (5, 2))
    torch.testing.assert_close(whole.images, parts.images, atol=1e-9, rtol=0)
    assert torch.equal(whole.backwards, parts.backwards)


def test_threshold_out_of_range():
    model, x = random_affine(), mid_grey(1)
    with pytest.raises(ValueError, match=r"lowest_threshold is 0\.7"):
        mla_lp(model, x, LabelVector(model(x) < 0), lowest_threshold=0.7)


@pytest.mark.parametrize("rule", ["each", "all"])
@pytest.mark.parametrize("flips", [1, 2, 3])
def test_every_step_is_that_of_the_plain_loop(rule, flips):
    """One image at a time against a rewrite without batches, up to where the rewrite ends or repeats itself."""
    model, images = SmallNet(gain=6.0), mid_grey(4, (3, 6, 6), seed=3)
    steps = 0
    for n in range(4):
        image = images[n]
        wanted = (model(image[None])[0] > 0) ^ (torch.arange(6) < flips)
        seen = Seen(model)
        result = mla_lp(seen, image[None], LabelVector(wanted[None]), lower=rule, max_iterations=6)
        tried, best = plain_mla_lp(model, image, wanted.tolist(), rule=rule, max_iterations=6)
        ours = seen.x[-(2 * int((result.forwards - 1) // 2)) :][1::2]  # a linearisation and a look at the step, in turn
        for mine, plain in zip(ours, tried, strict=False):
            torch.testing.assert_close(mine[0], plain, rtol=0, atol=LINPROG)
        assert len(tried) >= len(ours)
        torch.testing.assert_close(result.images[0], best, rtol=0, atol=LINPROG)
        steps += len(ours)
    assert steps > 5


def test_the_released_rule_lowers_all_thresholds_or_none():
    model, x = random_affine(outputs=3), mid_grey(6)
    z = model(x)
    goal = LabelVector((z > 0) ^ torch.tensor([True, False, False]))
    each, released = (mla_lp(model, x, goal, lower=rule) for rule in ("each", "all"))
    assert each.reached.sum() > released.reached.sum()
