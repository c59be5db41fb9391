"""GMLA, MLA-U and MLA-C: against their plain wording for one image, the direction's two branches, targets and trace."""

import pytest
import torch

from flipbook.attacks.engines import auto_pgd
from flipbook.attacks.engines.target_split import all_losses, parted_losses, split, target_losses
from flipbook.attacks.gmla import _rule, gmla, mla_c, mla_u
from flipbook.goals import ClassTarget, HideLabels, LabelVector
from tests.affine import SmallNet, mid_grey, random_affine
from tests.attacks import plain_apgd
from tests.attacks.cases import CODE
from tests.attacks.test_apgd import Seen

RULES = [("alpha", 0.0), ("beta", 0.0), ("full", -1.0), ("full", -0.85), ("full", -0.4), ("full", 1.0)]


def flips(model, x, share=0.5, seed=5):
    """Predicted labels and the goal to flip about this share of them."""
    present = model(x) > 0
    return present, LabelVector(
        present ^ (torch.rand(present.shape, generator=torch.Generator().manual_seed(seed)) < share)
    )


@pytest.mark.parametrize(("variant", "tau"), RULES)
@pytest.mark.parametrize("bound", [0.03, 0.2])
def test_equals_the_plain_attack_on_one_image(variant, tau, bound):
    """Directions, momentum, checks and halvings, first successes and their number."""
    model, x = SmallNet(), mid_grey(6)
    present, goal = flips(model, x)
    result = gmla(model, x, goal, bound=bound, variant=variant, tau=tau, max_iterations=50)
    for n in range(6):
        aim, wanted, T = goal[n : n + 1], goal.target[n].double(), (present != goal.target)[n]
        found = plain_apgd.attack(
            model, x[n : n + 1], wanted, T, aim.reached, variant=variant, tau=tau, bound=bound, steps=50, step=0.012
        )
        assert bool(result.reached[n]) == (found is not None)
        if found is not None:
            torch.testing.assert_close(result.images[n : n + 1], found[0], atol=1e-9, rtol=0)
            assert int(result.iterations[n]) == found[1]


@pytest.mark.parametrize(("variant", "tau"), [("beta", 0.0), ("full", -1.0), ("full", -0.4), ("full", 1.0)])
def test_whole_paths_equal_the_plain_attack_through_all_checks(variant, tau):
    """A goal out of reach: 120 steps with ten checks, of which some halve and some do not."""
    model, x = Seen(SmallNet()), mid_grey(1)
    goal = LabelVector(model.model(x) < 0)
    wanted, T, seen = goal.target[0].double(), torch.arange(6) < 3, []

    def never(z):
        seen.append(z)
        return False

    def part(goal, logits):
        return goal, T[None]

    options = {"bound": 0.01, "step": 0.012, "max_iterations": 120, "momentum": 0.75, "checkpoint_decrease": 2}
    rules = {"full": (parted_losses, _rule(tau)), "beta": (all_losses, auto_pgd.signs)}
    result = auto_pgd.auto_pgd(model, x, goal, *rules[variant], **options, part=part)
    assert not result.reached
    plain_apgd.attack(model.model, x, wanted, T, never, variant=variant, tau=tau, bound=0.01, steps=120, step=0.012)
    with torch.no_grad():
        path = model.model(torch.cat(model.x[2:]))  # after the looks at the clean image
    torch.testing.assert_close(path, torch.cat(seen).detach(), atol=1e-6, rtol=0)


def gradients_with_cosine(ρ, n=5, seed=0):
    """Gradients (n, 2, 3, 4, 4) of any length with this cosine."""
    g = torch.randn(2, n, 48, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u2 = g[1] / g[1].norm(dim=1, keepdim=True)
    across = g[0] - (g[0] * u2).sum(1, keepdim=True) * u2
    u1 = ρ * u2 + (1 - ρ**2) ** 0.5 * across / across.norm(dim=1, keepdim=True)
    lengths = torch.linspace(0.1, 30, 2 * n, dtype=torch.float64).view(2, n, 1)
    return (torch.stack([u1, u2]) * lengths).transpose(0, 1).reshape(n, 2, 3, 4, 4)


def test_projection_is_orthogonal_to_the_kept_gradient():
    g = gradients_with_cosine(-0.9)
    D, seen = _rule(-0.85)(g)
    torch.testing.assert_close(seen["rho"], torch.full((5,), -0.9).double(), atol=1e-7, rtol=0)
    assert seen["projected"].all()
    assert (D.flatten(1) * g[:, 1].flatten(1)).sum(1).abs().max() < 1e-6
    torch.testing.assert_close(D.flatten(1).abs().amax(1), torch.ones(5).double())
    ν = -g[:, 0].sign().flatten(1)
    assert ((D.flatten(1) * ν).sum(1) > 0).all()  # still attacks


@pytest.mark.parametrize("tau", [-0.85, 1.0])
def test_projected_steps_on_an_affine_model_leave_the_kept_loss_where_it_is(tau):
    """Three steps along P ν, ν = sgn(u₁): each orthogonal to the kept gradient, which weighs rows 1 to 3 of W by σ."""
    model, x, step = Seen(random_affine(4)), mid_grey(1), 0.002
    W = model.model.W
    W[1], W[2:] = W[0] + 0.3 * W[1], 0.2 * W[2:]  # what keeps label 1 keeps label 0 too, which the attack takes away
    model.model.b = torch.tensor([0.9, 1.0, -0.7, 1.2]) - W @ x.flatten()
    hidden = (torch.arange(4) == 0)[None]
    result = gmla(model, x, HideLabels(hidden), bound=0.1, tau=tau, step=step, max_iterations=20, trace=True)
    assert (result.trace["projected"][0, :3] == 1).all()
    x0, kept, y = x, torch.arange(4) > 0, torch.tensor([-1.0, 1.0, -1.0, 1.0]).double()
    for i in range(3):
        x1, x2 = model.path[i], model.path[i + 1]
        a = 1.0 if i == 0 else 0.75  # x₂ = x₁ + a s D + (1 - a) (x₁ - x₀)
        D = ((x2 - x1 - (1 - a) * (x1 - x0)) / (a * step)).flatten()
        g1, g2 = (((y * torch.sigmoid(-y * (W @ x1.flatten() + model.model.b)))[T] @ W[T]) for T in (~kept, kept))
        u2 = g2 / g2.norm()
        ν = g1.sign()
        P = ν - (ν @ u2) * u2
        torch.testing.assert_close(D, P / P.abs().max(), atol=1e-7, rtol=0)
        assert abs(D @ u2) < 1e-7 < D @ ν
        assert abs(ν @ u2) > 1  # without the projection it would be far from orthogonal
        torch.testing.assert_close(result.trace["rho"][0, i], g1 @ u2 / g1.norm(), atol=1e-7, rtol=0)
        x0 = x1


def test_limits_of_tau():
    """τ = -1 adds the directions even where they all but cancel, τ = 1 always projects, between it is per image."""
    opposed, aligned = gradients_with_cosine(-0.999), gradients_with_cosine(0.999)
    for g in (opposed, aligned):
        u = -g / g.flatten(2).norm(dim=2)[:, :, None, None, None]
        D, seen = _rule(-1.0)(g)
        assert torch.equal(D, u.sum(dim=1).sign())
        assert not seen["projected"].any()
        assert _rule(1.0)(g)[1]["projected"].all()
    mixed = torch.stack([opposed[0], aligned[0], opposed[1]])
    D, seen = _rule(-0.85)(mixed)
    assert seen["projected"].tolist() == [True, False, True]
    torch.testing.assert_close(D[:1], _rule(1.0)(mixed[:1])[0])
    torch.testing.assert_close(D[1:2], _rule(-1.0)(mixed[1:2])[0])


def test_a_projection_needed_by_the_first_image_alone_is_made():
    """The released program asks for the number of non-zero indices, and misses the image of index 0."""
    g = torch.cat([gradients_with_cosine(-0.99)[:1], gradients_with_cosine(0.5)[:2]])
    assert _rule(-0.85)(g)[1]["projected"].tolist() == [True, False, False]


def test_no_gradient_is_no_direction_and_nothing_to_keep_no_projection():
    g = gradients_with_cosine(-0.9, n=2)
    nothing_to_keep = torch.stack([g[:, 0], torch.zeros_like(g[:, 0])], dim=1)
    assert torch.equal(_rule(1.0)(nothing_to_keep)[0], -g[:, 0].sign())
    assert torch.equal(_rule(1.0)(torch.zeros_like(g))[0], torch.zeros_like(g[:, 0]))
    assert torch.equal(_rule(-1.0)(torch.zeros_like(g))[0], torch.zeros_like(g[:, 0]))


def test_mla_u_on_an_affine_model_is_sign_steps_of_the_target():
    """The other labels do not bend its path, and do not end it: success is all targets off."""
    model, x = Seen(random_affine()), mid_grey(1)
    model.model.b = torch.tensor([0.01, -0.01, 0.2, 0.01, -0.01, 0.01]) - model.model.W @ x.flatten()
    hidden = (torch.arange(6) == 2)[None]
    result = mla_u(model, x, HideLabels(hidden), bound=0.1, step=0.012)
    row = model.model.W[2].sign().view_as(x)
    assert result.reached
    v = int(result.iterations)
    torch.testing.assert_close(result.images, x - 0.012 * v * row, atol=1e-9, rtol=0)
    assert model.model(x - 0.012 * (v - 1) * row)[0, 2] > 0
    assert ((model.model(result.images) > 0) != (model.model(x) > 0))[0].sum() > 1


def test_mla_c_descends_the_sum_over_all_labels():
    model, x = Seen(random_affine()), mid_grey(1)
    z = model.model(x)[0]
    hidden = (z == z.max())[None]
    y = torch.where(hidden[0], -1.0, z.sign())
    mla_c(model, x, HideLabels(hidden), bound=0.1, max_iterations=1)
    ascent = (y * torch.sigmoid(-y * z)) @ model.model.W
    torch.testing.assert_close(model.path[1], (x + 0.012 * ascent.sign().view_as(x))[0], atol=1e-12, rtol=0)


def test_variants_are_the_other_two_attacks():
    model, x = SmallNet(), mid_grey(4)
    _, goal = flips(model, x)
    for variant, attack in (("alpha", mla_u), ("beta", mla_c)):
        options = {"bound": 0.05, "max_iterations": 30}
        a, b = gmla(model, x, goal, variant=variant, **options), attack(model, x, goal, **options)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.backwards, b.backwards)


def test_targets_of_every_goal():
    z = torch.tensor([[2.0, -1.0, 0.5, -3.0]])
    hidden, kept = torch.tensor([[1, 1, 0, 0]]).bool(), torch.tensor([[0, 0, 1, 1]]).bool()
    aim, T = split(HideLabels(hidden), z)
    assert aim.target.tolist() == [[False, False, True, False]]  # the rest as predicted
    assert T.tolist() == [[True, True, False, False]]  # hidden labels are defended where they are off already
    aim, T = split(HideLabels(hidden, kept), z)
    assert aim.target.tolist() == [[False, False, True, True]]
    assert T.tolist() == [[True, True, False, True]]
    _, T = split(LabelVector(torch.tensor([[0, 0, 0, 1]])), z)
    assert T.tolist() == [[True, False, True, True]]
    _, T = split(ClassTarget(torch.tensor([2])), z)
    assert T.tolist() == [[True, False, False]]  # class 0 is ahead of class 2
    aim, T = split(ClassTarget(torch.tensor([3]), CODE), torch.ones(1, 8).double())
    assert torch.equal(T, CODE[3:4] < 0)
    assert split(LabelVector(torch.tensor([[1, 0, 1, 0]])), z)[1].all()  # nothing missed: everything


def test_objective_counts_all_requirements_for_every_attack():
    margins, T = torch.tensor([[1.0, -2.0, 0.3]]), torch.tensor([[False, True, False]])
    ℓ = (1 + (-margins).exp()).log()
    for losses in (all_losses, target_losses, parted_losses):
        torch.testing.assert_close(losses(margins, T)[0], ℓ.sum(1))
    torch.testing.assert_close(target_losses(margins, T)[1][0], ℓ[:, 1])
    torch.testing.assert_close(torch.stack(parted_losses(margins, T)[1]), torch.stack([ℓ[:, 1], ℓ[:, 0] + ℓ[:, 2]]))


def test_hidden_labels_alone_decide_success():
    """Where others changed too the image counts, and for a label vector it does not."""
    model, x = SmallNet(), mid_grey(6)
    present = model(x) > 0
    hidden = present & (torch.arange(6) < 3)
    loose = mla_u(model, x, HideLabels(hidden), bound=0.2)
    strict = mla_u(model, x, LabelVector(present & ~hidden), bound=0.2)
    wrong = ((model(loose.images) > 0) != (present & ~hidden)).any(dim=1)
    assert loose.reached.all()
    assert (wrong & ~strict.reached).any()


@pytest.mark.parametrize(("attack", "k"), [(mla_u, 1), (mla_c, 1), (gmla, 2)])
def test_passes_of_each_attack(attack, k):
    """A success after v < N steps makes (1 + k) (v + 1) and the first look; a failure (1 + k) N and two looks."""
    model, x = SmallNet(), mid_grey(6)
    goal = flips(model, x)[1]
    r = attack(model, x, goal, bound=0.03, max_iterations=8)
    v, early = r.iterations, r.reached & (r.iterations < 8)
    assert early.any()
    assert not r.reached.all()
    assert torch.equal(r.forwards, torch.where(early, v + 2, 10))
    assert torch.equal(r.backwards, k * torch.where(early, v + 1, 8))
    assert torch.equal(r.first_success, torch.where(r.reached, 2 + v * (1 + k), -1))


def test_images_that_finish_early_change_nothing_for_the_others():
    model, x = SmallNet(), mid_grey(6)
    goal = flips(model, x)[1]
    options = {"bound": 0.2, "max_iterations": 60, "tau": -0.4, "trace": True}
    together = gmla(model, x, goal, **options)
    assert len(set(together.iterations.tolist())) > 2
    for n in range(6):
        alone = gmla(model, x[n : n + 1], goal[n : n + 1], **options)
        torch.testing.assert_close(alone.images[0], together.images[n], atol=1e-9, rtol=0)
        torch.testing.assert_close(alone.trace["rho"][0], together.trace["rho"][n], atol=1e-9, rtol=0, equal_nan=True)
        assert torch.equal(alone.trace["projected"][0].isnan(), together.trace["projected"][n].isnan())


def test_trace_is_as_wide_as_the_settings_and_ends_with_the_image():
    model, x = SmallNet(), mid_grey(6)
    present, goal = flips(model, x)
    goal = LabelVector(torch.where((torch.arange(6) == 2)[:, None], present, goal.target))
    r = gmla(model, x, goal, bound=0.2, max_iterations=60, tau=-0.4, trace=True)
    rho, projected = r.trace["rho"], r.trace["projected"]
    assert rho.shape == projected.shape == (6, 60)
    looks = torch.where(r.iterations == 60, 60, r.iterations + 1)
    looks = torch.where(r.reached, looks, 60) * (torch.arange(6) != 2)  # the third had nothing to do
    assert torch.equal((~rho.isnan()).sum(dim=1), looks)
    torch.testing.assert_close(projected, torch.where(rho.isnan(), rho, (rho <= -0.4).double()), equal_nan=True)
    assert 0 < projected.nanmean() < 1
    assert gmla(model, x[:0], goal[:0], max_iterations=60, trace=True).trace["rho"].shape == (0, 60)
    assert gmla(model, x, goal, max_iterations=2).trace == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "equal"}, "variant is 'equal'"),
        ({"tau": -1.1}, r"tau is -1\.1"),
        ({"tau": float("nan")}, "tau is nan"),
        ({"trace": True, "variant": "beta"}, "variant 'beta' has no cosine"),
        ({"bound": -0.1}, r"bound is -0\.1"),
        ({"momentum": 2}, "momentum is 2"),
        ({"checkpoint_decrease": -1}, "checkpoint_decrease is -1"),
    ],
)
def test_bad_settings(options, message):
    model, x = random_affine(), mid_grey(1)
    with pytest.raises(ValueError, match=message):
        gmla(model, x, LabelVector(model(x) < 0), **options)
