"""SAPF: against its plain wording, closed forms on affine models, limits, counts and options."""

from itertools import combinations

import pytest
import torch

from flipbook.attacks import ALL
from flipbook.attacks.cw_l2 import cw_l2
from flipbook.attacks.engines.losses import cross_entropy, hinge
from flipbook.attacks.sapf import sapf
from flipbook.goals import ClassTarget
from flipbook.solvers.nonnegative_qp import gram, solve_nonnegative_qp
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.plain_sapf import plain_sapf

SHORT = {"initial_weight": 0.3, "search_steps": 3, "inner_iterations": 24}


def second_best(model, x):
    return ClassTarget(model(x).argsort(dim=1)[:, -2])


def change(result, x):
    return (result.images - x).flatten(1)


@pytest.mark.parametrize("selection", ["literal", "normalised"])
@pytest.mark.parametrize(
    ("loss", "rounds", "T", "λ", "grey"), [("hinge", 1, 41, 0.05, 0.5), ("cross-entropy", 2, 40, 0.5, 0.03)]
)
def test_equals_the_plain_wording_of_one_pair(selection, loss, rounds, T, λ, grey):
    """Both phases, the carried schedules, fresh duals, the clip, rounding, refit, search, record and passes."""
    model = SmallNet() if grey == 0.5 else random_affine()
    x = (mid_grey(3) - 0.5 + grey).clamp(0, 1)  # dark images are cut often by the clip
    goal, k = second_best(model, x), torch.tensor([50, 80, 100])
    result = sapf(
        model,
        x,
        goal,
        k=k,
        selection=selection,
        loss=loss,
        initial_weight=λ,
        search_steps=3,
        rounds=rounds,
        inner_iterations=T,
    )
    outcomes = set()
    for n in range(3):
        aim = goal[n : n + 1]
        function = hinge if loss == "hinge" else cross_entropy
        nearest, place, first, history = plain_sapf(
            model,
            x[n],
            lambda z, aim=aim, function=function: function(aim.margins(z)),
            lambda z, aim=aim: bool(aim.reached(z)),
            int(k[n]),
            λ,
            solves=3,
            rounds=rounds,
            T=T,
            scaled=selection == "normalised",
        )
        assert bool(result.reached[n]) == (nearest is not None)
        assert int(result.first_success[n]) == first
        if nearest is not None:
            torch.testing.assert_close(result.images[n], nearest, atol=1e-8, rtol=0)
            assert int(result.iterations[n]) == place
        outcomes |= {success for _, success in history}
    assert outcomes == {True, False}  # the search went both ways


def two_classes(n=4, k=20):
    """An affine model, its images and target, and per image the best support, l2 and λ1."""
    model, x = random_affine(outputs=2, scale=3.0), mid_grey(n)
    z = model(x)
    margin, g = (z[:, 0] - z[:, 1]).abs(), (model.W[0] - model.W[1]).abs()
    best = g.topk(k).indices
    return model, x, ClassTarget(z.argmin(dim=1)), best, margin / g[best].norm(), 2 * margin / g[best].norm() ** 2


@pytest.mark.parametrize("selection", ["magnitude", "normalised", "gradient"])
def test_two_classes_have_the_best_support_and_its_distance(selection):
    model, x, goal, best, l2, _ = two_classes()
    result = sapf(model, x, goal, k=20, selection=selection, initial_weight=0.1, search_steps=3, inner_iterations=200)
    r = change(result, x)
    assert result.reached.all()
    assert torch.equal((r != 0).nonzero()[:, 1].view(4, 20), best.sort().values.expand(4, 20))
    assert (r.norm(dim=1) >= l2 * (1 - 1e-9)).all()
    assert (r.norm(dim=1) <= l2 * 1.001).all()


def test_the_literal_selection_is_feasible_and_no_better_than_the_best():
    model, x, goal, _, l2, _ = two_classes()
    result = sapf(model, x, goal, k=20, initial_weight=0.1, search_steps=3, inner_iterations=200)
    r = change(result, x)
    assert result.reached.all()
    assert ((r != 0).sum(dim=1) == 20).all()
    assert (r.norm(dim=1) >= l2 * (1 - 1e-9)).all()
    assert (r.norm(dim=1) <= l2 * 2.2).all()


@pytest.mark.parametrize("selection", ["gradient", "magnitude", "normalised"])
def test_the_smallest_weight_that_suffices(selection):
    """2 m / ||g_S||², where the bottom of the penalty's well is on the boundary.

    With the support known from the start, 2 % more suffice. One that is found late leaves only the short steps of the
    refit to get from the dense perturbation down into the well, and needs a deeper one, the more so the fewer they are.
    """
    model, x, goal, _, _, λ = two_classes(n=1)
    reached = [
        bool(
            sapf(
                model,
                x,
                goal,
                k=20,
                selection=selection,
                search_steps=1,
                inner_iterations=200,
                initial_weight=factor * float(λ),
            ).reached
        )
        for factor in (0.98, 1.02, 4.0)
    ]
    assert reached == [False, selection == "gradient", True]


def tiny_problem(n=12, N=10):
    """Three classes, ten entries, far inside the box."""
    g = torch.Generator().manual_seed(0)
    W = torch.randn(3, N, generator=g, dtype=torch.float64)
    model = Affine(W, 0.3 * torch.randn(3, generator=g, dtype=torch.float64) - W.sum(dim=1) / 2).eval()
    x = 0.5 + 0.1 * torch.randn(n, 1, 2, 5, generator=g, dtype=torch.float64)
    return model, x, ClassTarget(model(x).argmin(dim=1))


def best_of_all_supports(model, x, goal, k):
    """Smallest l2 over all supports of k entries: a quadratic program each."""
    supports = torch.tensor(list(combinations(range(x[0].numel()), k)))
    lengths = []
    for n in range(len(x)):
        rows = goal[n : n + 1].constraints(model(x[n : n + 1]))
        A, b = rows.matrix(len(model.W)), rows.offsets
        D = (A[0] @ model.W)[:, supports].transpose(0, 1)
        λ, feasible = solve_nonnegative_qp(gram(D), b.expand(len(supports), -1))
        r = (D.transpose(1, 2) @ λ[:, :, None]).squeeze(2)
        lengths.append(torch.where(feasible, r.norm(dim=1), torch.inf).min())
    return torch.stack(lengths)


@pytest.mark.parametrize(("selection", "bound"), [("normalised", 1.1), ("magnitude", 1.1), ("literal", 1.5)])
def test_tiny_problems_against_all_their_supports(selection, bound):
    model, x, goal = tiny_problem()
    result = sapf(model, x, goal, k=3, selection=selection, initial_weight=0.1, search_steps=4, inner_iterations=200)
    ratio = change(result, x).norm(dim=1) / best_of_all_supports(model, x, goal, 3)
    assert result.reached.all()
    assert ((change(result, x) != 0).sum(dim=1) <= 3).all()
    assert (result.images > 0).all()  # so that enumeration was right to ignore the box
    assert (result.images < 1).all()
    assert ratio.min() >= 1 - 1e-9
    assert ratio.max() <= bound


def test_all_entries_make_the_dense_attack():
    """With k = N the selection does not matter, and no other dense attack gets nearer."""
    model, x = SmallNet(), mid_grey(3)
    goal = second_best(model, x)
    options = {"k": 108, "initial_weight": 0.3, "search_steps": 3, "inner_iterations": 60}
    literal, magnitude = (sapf(model, x, goal, selection=s, **options) for s in ("literal", "magnitude"))
    assert torch.equal(literal.images, magnitude.images)
    dense = cw_l2(model, x, goal, initial_weight=1.0, search_steps=3, max_iterations=100)
    assert literal.reached.all()
    assert (change(literal, x).norm(dim=1) <= 1.05 * change(dense, x).norm(dim=1)).all()


def test_all_entries_of_an_affine_model():
    model, x, goal, _, l2, _ = two_classes(k=108)
    r = change(sapf(model, x, goal, k=108, initial_weight=0.05, search_steps=3, inner_iterations=100), x)
    torch.testing.assert_close(r.norm(dim=1), l2, rtol=1e-3, atol=0)


def test_more_entries_never_cost_more():
    """All in one batch, k of each pair its own."""
    model, x = SmallNet(), mid_grey(3).repeat_interleave(4, dim=0)
    k = torch.tensor([10, 30, 60, 108]).repeat(3)
    options = {"selection": "magnitude", "initial_weight": 0.1, "search_steps": 5, "inner_iterations": 100}
    lengths = change(sapf(model, x, second_best(model, x), k=k, **options), x).norm(dim=1).view(3, 4)
    assert (lengths[:, 1:] <= 1.02 * lengths[:, :-1]).all()
    assert (lengths[:, 0] > 1.2 * lengths[:, 3]).all()


def test_k_of_every_pair():
    """A batch with its own k each is its pairs one by one, and at most k entries differ at all."""
    model, x = SmallNet(), mid_grey(4)
    goal, k = second_best(model, x), torch.tensor([1, 17, 60, 108])
    together = sapf(model, x, goal, k=k, **SHORT)
    assert ((change(together, x) != 0).sum(dim=1) <= k).all()
    for n in range(4):
        one = slice(n, n + 1)
        alone = sapf(model, x[one], goal[one], k=int(k[n]), **SHORT)
        torch.testing.assert_close(together.images[one], alone.images, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("selection", "turn"), [("literal", 2), ("normalised", 2), ("magnitude", 1), ("random", 1)])
@pytest.mark.parametrize("T", [10, 13])
def test_passes_when_nothing_ends_early(selection, turn, T):
    model, x = SmallNet(), mid_grey(3)
    S = 3
    options = {"k": 30, "selection": selection, "search_steps": S, "inner_iterations": T}
    result = sapf(model, x, second_best(model, x), initial_weight=1e-3, **options)
    backwards = S * (turn * T + -(-T // 2))
    assert (result.backwards == backwards).all()
    assert (result.forwards == backwards + 1 + S).all()
    calibrated = sapf(model, x, second_best(model, x), **options)  # one pass more each way for the first weight
    assert (calibrated.backwards == backwards + 1).all()
    assert (calibrated.forwards == backwards + 2 + S).all()


def test_the_papers_budget():
    """S (M 2 T + T/2) gradients with several rounds."""
    model, x = SmallNet(), mid_grey(2)
    options = {"k": 30, "search_steps": 2, "rounds": 3, "inner_iterations": 8, "initial_weight": 1e-3}
    result = sapf(model, x, second_best(model, x), **options)
    assert (result.backwards == 2 * (3 * 2 * 8 + 4)).all()


def test_black_and_white_entries_can_be_selected():
    """Where only entries at the ends of the range matter, they get away from there."""
    model, x = random_affine(outputs=2, scale=3.0), mid_grey(2)
    step = (model.W[0] - model.W[1]).view(3, 6, 6)
    x[:, 0] = torch.where(step[0] > 0, 0.0, 1.0)
    model.W[:, 36:] = 0.0
    model.b[1] += (model(x) @ torch.tensor([1.0, -1.0]).double()).mean() + 1.0
    result = sapf(model, x, ClassTarget(torch.tensor([0, 0])), k=10, inner_iterations=100, initial_weight=0.3)
    assert result.reached.all()
    assert ((result.images != x)[:, 0].flatten(1).sum(dim=1) == 10).all()


def test_stopping_at_the_first_success():
    model, x = SmallNet(), mid_grey(4)
    goal, options = second_best(model, x), {"k": 40, "initial_weight": 0.1, "search_steps": 4, "inner_iterations": 40}
    first = sapf(model, x, goal, search_stop="first", **options)
    budget = sapf(model, x, goal, search_stop="budget", **options)
    assert first.reached.all()
    assert torch.equal(first.first_success, budget.first_success)
    assert (first.backwards < budget.backwards).all()
    assert (first.backwards % 100 == 0).all()
    assert (change(budget, x).norm(dim=1) <= change(first, x).norm(dim=1)).all()


def test_leaving_early_saves_passes_and_costs_little():
    model, x = SmallNet(), mid_grey(4)
    goal = second_best(model, x)
    options = {"k": 30, "selection": "normalised", "initial_weight": 0.3, "search_steps": 2, "inner_iterations": 200}
    full, early = (sapf(model, x, goal, leave_early=e, **options) for e in (False, True))
    assert early.reached.all()
    assert (early.backwards < 0.8 * full.backwards).all()
    assert len(early.backwards.unique()) > 1  # each at its own time
    assert (change(early, x).norm(dim=1) <= 1.05 * change(full, x).norm(dim=1)).all()


def test_a_calibrated_start_reaches_the_goal_at_once():
    """Four times the weight that just suffices with all entries; one more pass each way."""
    model, x, goal, *_ = two_classes()
    result = sapf(model, x, goal, k=108, initial_weight=None, search_steps=1, inner_iterations=100)
    assert result.reached.all()
    assert (result.backwards == 250 + 1).all()
    assert (result.forwards == 250 + 3).all()
    g, margin = model.W[0] - model.W[1], (model.W[0] - model.W[1]).norm() * two_classes(k=108)[4]
    given = [
        sapf(
            model,
            x[n : n + 1],
            goal[n : n + 1],
            k=108,
            initial_weight=float(8 * margin[n] / g.norm() ** 2),
            search_steps=1,
            inner_iterations=100,
        ).images
        for n in range(4)
    ]
    torch.testing.assert_close(result.images, torch.cat(given), atol=1e-9, rtol=0)


@pytest.mark.parametrize("selection", ["literal", "magnitude", "gradient", "random"])
def test_whole_pixels(selection):
    model, x = SmallNet(), mid_grey(3)
    result = sapf(model, x, second_best(model, x), k=31, selection=selection, shared_channels=True, **SHORT)
    changed = (result.images != x).any(dim=1).flatten(1).sum(dim=1)
    assert result.reached.all()
    assert (changed == 10).all()
    assert (change(result, x) != 0).sum() == 3 * 30


def test_a_random_support_belongs_to_the_image():
    """Its content alone: not its target, its neighbours or the global generator."""
    model, x = SmallNet(), mid_grey(2)[[0, 1, 0]]
    order = model(x).argsort(dim=1)
    goal = ClassTarget(torch.stack([order[0, -2], order[1, -2], order[2, -3]]))
    options = {"k": 30, "selection": "random", "initial_weight": 30.0, "search_steps": 1, "inner_iterations": 20}
    supports = sapf(model, x, goal, **options).images != x
    assert torch.equal(supports[0], supports[2])
    assert not torch.equal(supports[0], supports[1])
    torch.manual_seed(5)
    assert torch.equal(sapf(model, x[2:], goal[2:], **options).images != x[2:], supports[2:])


@pytest.mark.parametrize(
    "change",
    [
        {"k": 20},
        {"selection": "normalised"},
        {"selection": "magnitude"},
        {"loss": "cross-entropy"},
        {"kappa": 1.0},
        {"initial_weight": 2.0},
        {"search_steps": 1},
        {"rounds": 2},
        {"inner_iterations": 12},
        {"search_stop": "first"},
        {"shared_channels": True},
    ],
)
def test_every_option_matters(change):
    model, x = SmallNet(), mid_grey(4)
    options = {"k": 40, **SHORT}
    usual = sapf(model, x, second_best(model, x), **options)
    assert not torch.equal(usual.images, sapf(model, x, second_best(model, x), **(options | change)).images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0: it must lie between 1"),
        ({"k": 109}, "k is 109: it must lie between 1"),
        ({"k": 2, "shared_channels": True}, "k is 2: it must lie between 3"),
        ({"k": 3.5}, "k is 3.5: give a whole number"),
        ({"k": True}, "k is True: give a whole number"),
        ({"k": torch.tensor([5.0, 5.0])}, "k is a tensor of torch.float32"),
        ({"k": torch.tensor([5, 5, 5])}, r"k has shape \(3,\)"),
        ({"k": torch.tensor([5, 0])}, "k is 0: it must lie"),
        ({"selection": "topk"}, "selection is 'topk'"),
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"search_stop": "last"}, "search_stop is 'last'"),
        ({"inner_iterations": 0}, "inner_iterations is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"rounds": 2, "selection": "magnitude"}, "rounds is 2: selection 'magnitude'"),
        ({"search_steps": 0}, "search_steps is 0"),
        ({"initial_weight": 0.0}, "initial_weight is 0"),
        ({"kappa": -1.0}, "kappa is -1"),
    ],
)
def test_bad_options_are_named(options, message):
    model, x = SmallNet(), mid_grey(2)
    with pytest.raises(ValueError, match=message) as caught:
        sapf(model, x, second_best(model, x), **({"k": 30} | options))
    assert "\n" not in str(caught.value)


def test_numpy_integers_are_whole_numbers():
    numpy = pytest.importorskip("numpy")
    model, x = SmallNet(), mid_grey(2)
    a, b = (sapf(model, x, second_best(model, x), k=k, **SHORT).images for k in (30, numpy.int64(30)))
    assert torch.equal(a, b)


class ChannelMeans(torch.nn.Module):
    """Logits of any scale that depend on the means of the channels: every pixel counts, and none counts much."""

    def __init__(self, scale):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.W, self.b = torch.randn(6, 3, generator=g).double(), torch.randn(6, generator=g).double() / 10
        self.scale = scale
        self.eval()

    def forward(self, x):
        return self.scale * (20 * (x.mean(dim=(2, 3)) - 0.5) @ self.W.T + self.b)


@pytest.mark.parametrize("side", [8, 24])
@pytest.mark.parametrize("name", ["sapf", "sapf_gs", "sapf_vi"])
def test_the_default_weight_suits_logits_of_any_scale(name, side):
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
    options = {"k": 3 * side * side // 2, "inner_iterations": 200, "search_steps": 3, "leave_early": True}
    options |= {"segments": 9} if name == "sapf_gs" else {}
    lengths = []
    for scale in (1e-3, 1.0, 1e3):
        model = ChannelMeans(scale)
        goal = ClassTarget(model(x).topk(2, dim=1).indices[:, 1])
        result = ALL[name](model, x, goal, **options)
        assert result.reached.all()
        lengths.append((result.images - x).flatten(1).norm(dim=1))
    for other in lengths[1:]:
        torch.testing.assert_close(other, lengths[0], rtol=0.05, atol=0)
