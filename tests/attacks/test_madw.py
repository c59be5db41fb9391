"""MADW: its step on affine models, what it costs, and the rule for the damping."""

import pytest
import torch

from flipbook.attacks.engines import levenberg_marquardt as lm
from flipbook.attacks.madw import madw
from flipbook.goals import LabelVector, TopKExcludes
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.cases import images_and_goal
from tests.attacks.test_masw import Seen


@pytest.mark.parametrize("kind", ["excluded", "ranked", "labels"])
def test_a_step_is_the_damped_least_squares_one(kind):
    """Stacked: sqrt(λ) (ζ + Jδ) = 0 above sqrt(damping) δ = 0, for the violated constraints only; w = 1 at first."""
    model, x = random_affine(), mid_grey(6)
    goal = images_and_goal(model, kind)[1]
    goal = goal if kind == "labels" else goal._with({"hide": True})
    seen = Seen(model)
    options = {"damping": 0.7, "lam1": 0.4, "lam2": 0.9, "margin": 0.2, "radius": torch.inf, "max_iterations": 1}
    result = madw(seen, x, goal, **options)
    z, rows = model(x), [0, 1, 3, 4, 5]
    moved = dict(zip(rows, seen.images[-1], strict=True))
    A, b = goal.constraints(z).matrix(6), goal.constraints(z).offsets
    for i in rows:
        active = b[i] < 0.2
        J, ζ = -A[i][active] @ model.W, 0.2 - b[i][active]
        λ = torch.full_like(b[i], 0.4)
        λ[6:] = 0.9
        λ = λ[active]
        damping = 0.7 * (λ * J.square().sum(dim=1)).mean()
        stacked = torch.cat([λ.sqrt()[:, None] * J, damping.sqrt() * torch.eye(108).double()])
        wanted = torch.cat([-λ.sqrt() * ζ, torch.zeros(108).double()])
        δ = torch.linalg.lstsq(stacked, wanted[:, None]).solution[:, 0]
        torch.testing.assert_close((moved[i] - x[i]).flatten(), δ, rtol=0, atol=1e-9)
        assert int(result.backwards[i]) == int((A[i][active] != 0).any(dim=0).sum())
    assert result.forwards.tolist() == [3, 3, 1, 3, 3, 3]


def test_with_little_damping_an_affine_goal_takes_one_step_to_the_margin():
    model, x = random_affine(), mid_grey(4)
    z = model(x)
    goal = LabelVector((z > 0) ^ (torch.arange(6) < 2))
    result = madw(model, x, goal, damping=1e-9, margin=0.3, radius=10.0)
    first = goal.margins(z) < 0.3
    after = goal.margins(model(result.images))
    one = result.iterations == 1
    assert one.any()
    torch.testing.assert_close(after[one][first[one]], torch.full_like(after[one][first[one]], 0.3), rtol=0, atol=1e-6)


def test_the_damping_follows_the_objective_and_the_weights_the_slack():
    """One label 4 x - 4 that must rise: a step takes 1 / (1 + λ_D) of the way, and λ_D halves while L falls."""
    model = Affine(torch.tensor([[4.0, 0.0]]), torch.tensor([-4.0])).eval()
    x = torch.full((1, 1, 1, 2), 0.5, dtype=torch.float64)
    options = {"damping": 9.0, "f_de": 2.0, "margin": 0.0, "eta": 1.5, "eps0": 0.5, "radius": 5.0, "max_iterations": 3}
    names = ("hinges", "lagrangian", "threshold", "weight")
    trace = madw(model, x, LabelVector(torch.ones(1, 1)), trace=names, **options).trace
    trace = {name: values[0].tolist() for name, values in trace.items()}
    ζ = [2.0, 2 * 9 / 10, 2 * 9 / 10 * 4.5 / 5.5, 2 * 9 / 10 * 4.5 / 5.5 * 2.25 / 3.25]
    w = [1, 1, 0.75 / ζ[1], 1.125 / ζ[2]]
    assert trace["hinges"] == pytest.approx(ζ)
    assert trace["lagrangian"] == pytest.approx([0.25 * w_ * ζ_**2 for w_, ζ_ in zip(w, ζ, strict=True)])
    assert trace["threshold"] == pytest.approx([0.5, 0.75, 1.125, 1.6875])
    assert trace["weight"] == pytest.approx(w)


def test_stays_in_the_ball_and_chunks_change_nothing_but_the_memory():
    model = SmallNet()
    x, goal = images_and_goal(model, "ranked")
    whole, parts = (madw(model, x, goal, radius=0.2, max_iterations=4, chunk=c, stop_on_success=False) for c in (6, 2))
    torch.testing.assert_close(whole.images, parts.images, atol=1e-9, rtol=0)
    assert torch.equal(whole.backwards, parts.backwards)
    assert (whole.images - x).flatten(1).norm(dim=1).max() <= 0.2 + 1e-12


@pytest.mark.parametrize("changed", [{"weights": "none"}, {"f_in": 4.0}, {"f_de": 2.0}, {"margin": 1.0}, {"eta": 1.5}])
def test_every_setting_changes_the_path(changed):
    model = SmallNet()
    x, goal = images_and_goal(model, "excluded")
    goal = goal._with({"hide": True})
    paths = []
    for extra in ({}, changed):
        seen = Seen(model)
        madw(seen, x, goal, **({"radius": 0.2, "max_iterations": 8, "stop_on_success": False, "eps0": 0.05} | extra))
        paths.append(seen.images[-1])
    assert not torch.allclose(*paths, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damping": 0}, "damping is 0"),
        ({"margin": -1}, "margin is -1"),
        ({"f_in": 0.5}, "f_in is 0.5: it must be 1 or above"),
        ({"f_de": 0.5}, "f_de is 0.5: it must be 1 or above"),
        ({"lam2": -1}, "lam2 is -1"),
        ({"radius": 0}, "radius is 0"),
        ({"weights": "soft"}, "weights is 'soft'"),
        ({"trace": ("slack",)}, "trace is 'slack'"),
    ],
)
def test_bad_settings(options, message):
    model, x = random_affine(), mid_grey(1)
    goal = TopKExcludes(torch.tensor([[1, 0, 0, 0, 0, 0]]), 1, hide=True)
    with pytest.raises(ValueError, match=message) as caught:
        madw(model, x, goal, **options)
    assert "\n" not in str(caught.value)


def test_few_pixels_and_many_constraints_give_the_same_step():
    """Unknowns are constraints or pixels, whichever are fewer."""
    g = torch.Generator().manual_seed(0)
    rows = TopKExcludes(torch.eye(7)[:3], 2, hide=True).constraints(torch.randn(3, 7, generator=g).double())
    G = torch.randn(3, 7, 5, generator=g, dtype=torch.float64)
    ζ, w = torch.rand(3, 14, generator=g).double(), torch.rand(3, 14, generator=g).double() + 0.1
    counts = rows.exist
    ζ, w, damping = ζ * counts, w * counts, torch.tensor([0.1, 1.0, 3.0]).double()
    steps = [solve(rows, G, ζ, w, damping, counts) for solve in (lm._by_rows, lm._by_pixels)]
    assert steps[0].abs().min() > 0
    torch.testing.assert_close(steps[0], steps[1], rtol=0, atol=1e-10)
