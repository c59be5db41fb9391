"""Auto-PGD: when steps are looked at and halved, the box and the ball, and sign steps on an affine model."""

import pytest
import torch
from torch import nn

from flipbook.attacks.apgd import apgd
from flipbook.attacks.engines.auto_pgd import StepSizeControl, checkpoints
from flipbook.attacks.gmla import mla_u
from flipbook.goals import ClassTarget, LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.plain_auto_pgd import auto_pgd


class Seen(nn.Module):
    """Remembers the images that it was asked about, after the first two looks at the clean ones."""

    def __init__(self, model):
        super().__init__()
        self.model, self.x = model, []
        self.eval()

    def forward(self, x):
        self.x.append(x.detach().clone())
        return self.model(x)

    @property
    def path(self):
        return torch.cat(self.x[3:])


class Sunk(nn.Module):
    """A network whose first logit is out of reach of the others."""

    def __init__(self, seed):
        super().__init__()
        self.model = SmallNet(seed=seed)
        self.eval()

    def forward(self, x):
        return self.model(x) - 9 * torch.eye(6)[0]


def far_target(z, kind):
    """A goal out of reach and its published objective, for the logits z (1, C) of the clean image."""
    if kind == "class":
        t = torch.tensor([0])
        return ClassTarget(t), lambda z: torch.log_softmax(z, dim=0)[t[0]]
    y = -z[0].sign()
    return LabelVector(z < 0), lambda z: -torch.log1p((-y * z).exp().sum())


@pytest.mark.parametrize("bound", [0.002, 0.01])
@pytest.mark.parametrize("kind", ["class", "labels"])
@pytest.mark.parametrize("seed", range(3))
def test_at_its_defaults_every_step_is_auto_pgds(seed, kind, bound):
    """All steps of one image: momentum, the paper's eight checks and what they halve."""
    model, x = Seen(Sunk(seed)), mid_grey(1, seed=seed)
    goal, objective = far_target(model.model(x), kind)
    assert not apgd(model, x, goal, bound=bound).reached
    path = torch.cat(auto_pgd(model.model, x, objective, bound))
    torch.testing.assert_close(model.path, path, atol=1e-10, rtol=0)
    lengths = (path[1:] - path[:-1]).flatten(1).abs().amax(dim=1)
    assert lengths[-1] < lengths[0] / 2  # a path that its checks bend


def test_checkpoints_by_hand():
    """N = 300: 66, then shorter by 2 x 9 each time, never below 18; Auto-PGD's own are shorter by 9."""
    by_hand = [66, 48, 30] + [18] * 8
    assert list(checkpoints(300, 2).values()) == by_hand
    assert list(checkpoints(300, 2)) == [66, 114, 144, 162, 180, 198, 216, 234, 252, 270, 288]
    assert list(checkpoints(300, 1).values())[:7] == [66, 57, 48, 39, 30, 21, 18]
    assert list(checkpoints(100, 1).values())[:6] == [22, 19, 16, 13, 10, 7]
    assert checkpoints(1, 2) == {}
    assert checkpoints(4, 2) == {1: 1, 2: 1, 3: 1}


def test_affine_loss_gives_sign_steps_to_the_corner():
    """One label to switch: x moves by s along the sign of its row, and with momentum ¾ the next time by s again."""
    model = Seen(random_affine(outputs=1))
    x = mid_grey(1)
    sign = -model.model.W.sign().view_as(x)
    model.model.b = 9 - model.model.W @ x.flatten()
    r = apgd(model, x, LabelVector(torch.zeros(1, 1)), bound=0.05, step=0.02, max_iterations=10)
    assert not r.reached
    torch.testing.assert_close(model.path[0], x[0], atol=0, rtol=0)
    torch.testing.assert_close(model.path[1], (x + 0.02 * sign)[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(model.path[2], (x + (0.02 + 0.02 * 0.75 + 0.02 * 0.25) * sign)[0], atol=1e-12, rtol=0)
    torch.testing.assert_close(model.path[3], (x + 0.05 * sign)[0], atol=1e-12, rtol=0)
    assert torch.equal(model.path[-1], model.path[4])  # a corner of the ball holds the best point


class Valley(nn.Module):
    """A logit that is highest, though below 0, where the image is 0.5: steps across it oscillate."""

    def forward(self, x):
        return -1 - (x.flatten(1) - 0.5).abs().sum(dim=1, keepdim=True)


RIDGE = {
    1: [0.471, 0.511] * 11 + [0.471] + [0.491, 0.511] * 9 + [0.491] + [0.501, 0.491] * 8 + [0.496],
    2: [0.471, 0.511] * 11 + [0.471] + [0.491, 0.511] * 8 + [0.501, 0.491] * 5 + [0.496, 0.501] * 3 + [0.4985],
}


@pytest.mark.parametrize("checkpoint_decrease", RIDGE)
def test_steps_across_a_ridge_are_halved_at_the_checks(checkpoint_decrease):
    """Without momentum the path jumps to and fro by s; every check halves s and goes back to the best point so far.

    Checks come after 22, 41, 57 steps, or with two shortenings after 22, 38, 48, 54.
    """
    x = torch.full((1, 1, 1, 1), 0.471, dtype=torch.float64)
    model, goal, options = Seen(Valley()), LabelVector(torch.ones(1, 1)), {"bound": 0.2, "step": 0.04, "momentum": 1.0}
    apgd(model, x, goal, **options, max_iterations=100, checkpoint_decrease=checkpoint_decrease)
    expected = torch.tensor(RIDGE[checkpoint_decrease]).double()
    torch.testing.assert_close(model.path.flatten()[: len(expected)], expected)


@pytest.mark.parametrize(("attack", "then"), [(apgd, 0.507 - 0.0072), (mla_u, 0.4998 + 0.0036)])
def test_the_very_first_step_is_progress_but_not_for_gmlas_attacks(attack, then):
    """Four of five steps climb, more than ¾; without the first, which GMLA's program compares with nothing, three."""
    x = torch.full((1, 1, 1, 1), 0.471, dtype=torch.float64)
    model, goal = Seen(Valley()), LabelVector(torch.ones(1, 1))
    attack(model, x, goal, bound=0.2, step=0.0072, momentum=1.0, max_iterations=25)
    expected = torch.tensor([0.471, 0.4782, 0.4854, 0.4926, 0.4998, 0.507, then]).double()
    torch.testing.assert_close(model.path.flatten()[:7], expected)


def test_steady_progress_is_not_halved_but_standstill_is():
    """Far from the end of the ball every step raises f; once x rests in its corner two checks without progress come.

    f grows in 16 of the first 22 steps, at most ¾: the first check halves s, to no effect in the corner.
    """
    model = Seen(random_affine(outputs=1))
    x = mid_grey(1)
    model.model.b = 9 - model.model.W @ x.flatten()
    apgd(model, x, LabelVector(torch.zeros(1, 1)), bound=0.24, step=0.01, max_iterations=100)
    δ = (model.path - x).flatten(1).abs().amax(dim=1)
    torch.testing.assert_close(δ[:25], 0.01 * torch.arange(25).double(), atol=1e-9, rtol=0)
    assert torch.allclose(δ[25:], torch.tensor(0.24).double())


def test_rules_of_a_check():
    """Checks every 5 steps: halved with at most 3 rises (the first step's is not asked), or when nothing came of it.

    Every row is an image; a window that rises four times without a new best is a standstill, but not twice in a row.
    """
    rising, climb_back = [1.0, 2, 3, 4, 5], [0.0, 1, 2, 3, 4]
    f = torch.tensor(
        [
            [0.0, *rising, *climb_back, *climb_back, *climb_back],
            [0.0, 1, 2, 3, 4, 3.5, *climb_back, *climb_back, 6, 7, 8, 9, 9],
        ]
    )
    halved = [[False, True, False, True], [True, False, True, False]]
    x = torch.zeros(2, 1, 1, 1)
    pace = StepSizeControl.start(x, 1.0)
    pace.see(x + f[:, 0].view(2, 1, 1, 1), x, f[:, 0], compare=False)
    for i in range(1, 21):
        here = x + f[:, i].view(2, 1, 1, 1)
        pace.see(here, 2 * here, f[:, i], compare=i > 1)
        if i % 5 == 0:
            before = pace.s
            back, D = pace.check(here, 2 * here, 5)
            assert pace.reduced.tolist() == [row[i // 5 - 1] for row in halved]
            torch.testing.assert_close(pace.s, torch.where(pace.reduced, before / 2, before))
            best = f[:, : i + 1].amax(dim=1)
            torch.testing.assert_close(back.flatten(), torch.where(pace.reduced, best, f[:, i]))
            torch.testing.assert_close(D, 2 * back)


@pytest.mark.parametrize("bound", [0.003, 0.3, 0.9])
def test_never_leaves_the_box_or_the_ball(bound):
    """Bitwise, also where both cut and for the images on the way."""
    x = torch.cat([mid_grey(2), mid_grey(2).round(), torch.rand(2, 3, 6, 6, dtype=torch.float64)])
    model = Seen(SmallNet())
    low, high = (x - bound).clamp(min=0), (x + bound).clamp(max=1)
    r = apgd(model, x, LabelVector(torch.ones(6, 6)), bound=bound, max_iterations=30)
    assert (r.images >= low).all()
    assert (r.images <= high).all()
    whole = [batch for batch in model.x if len(batch) == 6]
    assert len(whole) >= 3
    assert all(((batch >= low) & (batch <= high)).all() for batch in whole)


def test_passes_of_successes_and_failures():
    """A success after v steps makes 2 (v + 1) passes and the first look; a failure 2 N, the first look and the last."""
    model, x = SmallNet(), mid_grey(6)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) == 1))
    r = apgd(model, x, goal, bound=0.02, step=0.01, max_iterations=5)
    assert 0 < r.reached.sum() < 6
    v = r.iterations
    last = r.reached & (v == 5)
    assert torch.equal(r.forwards, torch.where(r.reached, v + 2, 7))
    assert torch.equal(r.backwards, torch.where(r.reached & ~last, v + 1, 5))
    assert torch.equal(r.first_success, torch.where(r.reached, 2 * v + 2, -1))


def test_hyper_parameters_make_a_difference():
    model, x = SmallNet(), mid_grey(4)
    goal = LabelVector(model(x) < 0)
    options = {"bound": 0.05, "max_iterations": 30}
    usual = apgd(model, x, goal, **options).images
    for change in ({"loss": "hinge"}, {"momentum": 1.0}, {"step": 0.01}, {"bound": 0.04}):
        assert not torch.equal(usual, apgd(model, x, goal, **(options | change)).images), change


def test_class_target_is_reached_by_its_cross_entropy():
    """The first step of a target class goes along the sign of the gradient of log softmax."""
    model, x = Seen(random_affine()), mid_grey(1)
    z = model.model(x)
    t = int(z.argmin())
    apgd(model, x, ClassTarget(torch.tensor([t])), bound=0.1, step=0.001, max_iterations=1)
    p = z.softmax(dim=1)[0]
    g = model.model.W[t] - p @ model.model.W
    torch.testing.assert_close(model.path[1], (x + 0.001 * g.sign().view_as(x))[0], atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": 0}, "bound is 0"),
        ({"momentum": 1.5}, r"momentum is 1\.5"),
        ({"momentum": 0}, "momentum is 0"),
        ({"checkpoint_decrease": -1}, "checkpoint_decrease is -1"),
        ({"loss": "mse"}, "loss is 'mse'"),
    ],
)
def test_bad_settings(options, message):
    model, x = Affine(torch.ones(2, 108)).eval(), mid_grey(1)
    with pytest.raises(ValueError, match=message):
        apgd(model, x, LabelVector(torch.zeros(1, 2)), **options)
