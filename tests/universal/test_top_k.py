"""One perturbation for many rankings: against a plain loop, in its ball, and with passes counted."""

import functools
import math

import pytest
import torch

from flipbook.attacks.tkml import tkml
from flipbook.core.attack_result import AttackResult
from flipbook.goals import TopKExcludes
from flipbook.universal import Pool, load, save
from flipbook.universal.inner import INNER, inner_attack
from flipbook.universal.stopping import Patience, chosen
from flipbook.universal.top_k import _mini_batches, into_ball, universal_top_k
from flipbook.universal.top_k_evaluation import evaluate_top_k
from tests.affine import SmallNet, mid_grey, random_affine

MODEL = random_affine()
IMAGES = mid_grey(12)
TOP = torch.nn.functional.one_hot(MODEL(IMAGES).argmax(dim=1), 6)
QUIET = {"progress": False}
TKML = functools.partial(tkml, radius=math.inf, learning_rate=0.1, max_iterations=30)


def learn(attack=TKML, images=IMAGES, present=TOP, model=MODEL, k=2, **options):
    options = {"batch_size": 4, "max_passes": 3, "eval_every": 2, "radius": 50.0} | QUIET | options
    return universal_top_k(model, images, present, k, attack, **options)


def scripted(*moves):
    """Give an inner attack that moves the images at its disposal by these values, and says so; None is a failure."""

    def attack(model, images, goal):
        reached = torch.tensor([move is not None for move in moves])
        δ = torch.tensor([9.0 if move is None else move for move in moves], dtype=images.dtype).view(-1, 1, 1, 1)
        number = torch.full((len(images),), 2)
        return AttackResult(images + δ, reached, number, 3 * number, number, number)

    return attack


@pytest.mark.parametrize("from_clean", [False, True])
@pytest.mark.parametrize(("radius", "passes"), [(1.0, 2), (50.0, 1)])
def test_batches_of_one_are_the_plain_loop(radius, passes, from_clean):
    common = {"batch_size": 1, "max_passes": passes, "eval_every": 100, "fooling_rate": 1.0, "seed": 3}
    found = learn(radius=radius, from_clean=from_clean, **common)
    z, forwards = torch.zeros_like(IMAGES[0]), 12
    for (i,) in _mini_batches(IMAGES, 1, passes, seed=3):
        start = (IMAGES[i] + z).clamp(0, 1)
        goal = TopKExcludes(TOP[i : i + 1], 2)
        forwards += 1
        if goal.reached(MODEL(start[None])).item():
            continue
        start = IMAGES[i] if from_clean else start
        result = TKML(MODEL, start[None], goal)
        forwards += result.forwards.item() - (not from_clean)
        if result.reached.item():
            z = z + result.images[0] - start
            z = z * min(1, radius / z.norm().item())
    assert z.norm() > 0.5
    torch.testing.assert_close(found.perturbation[0], z)
    if passes == 1:  # in a second one it stops where z has been tried on every image
        assert found.record["forwards"] == forwards


def test_mean_of_what_succeeds():
    found = learn(scripted(0.02, None, 0.0, 0.04), IMAGES[:4], TOP[:4], max_passes=1)
    torch.testing.assert_close(found.perturbation, torch.full_like(IMAGES[:1], 0.03))


def test_nothing_that_succeeds_moves_nothing():
    found = learn(scripted(None, None, None, None), IMAGES[:4], TOP[:4])
    assert (found.perturbation == 0).all()
    assert found.record["stopped"] == "nothing moves"


def test_universal_on_an_affine_model():
    """Whatever takes label 0 below two others takes it there on every image: logits move by the same W z."""
    images, others = (0.5 + (mid_grey(n, seed=n) - 0.5) / 100 for n in (8, 20))
    first = torch.zeros(28, 6)
    first[:, 0] = 1
    model = random_affine()
    model.b[0] += 3 - model(mid_grey(1)).amax()
    found = learn(images=images, present=first[:8], model=model, k=2)
    table = evaluate_top_k(found, model, others, first[8:])
    assert found.trace["asr"][-1] == 1
    assert table["asr_clean"].sum() == 0
    assert table["asr"].mean() == 1
    assert learn(images=images, present=first[:8], model=model, radius=0.01).trace["asr"][-1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("radius", [0.01, 1.0, 10 / 3])
def test_inside_the_ball_bitwise(dtype, radius):
    g = torch.Generator().manual_seed(0)
    for scale in torch.logspace(-3, 2, 300):
        z = scale * torch.randn(1, 3, 6, 6, generator=g, dtype=dtype)
        projected = into_ball(z, radius)
        assert projected.double().norm() <= radius
        assert torch.equal(projected, z) == bool(z.double().norm() <= radius)
        torch.testing.assert_close(projected, z * min(1, radius / z.norm().item()))


def test_box_at_use_only():
    bright = IMAGES.float() + 0.35
    g = torch.Generator().manual_seed(1)
    model = SmallNet().float()
    present = torch.nn.functional.one_hot(model(bright).argmax(dim=1), 6)
    seen = []

    def attack(model, images, goal):
        seen.append(images)
        images = (images + torch.rand(images.shape, generator=g)).clamp(0, 1)
        ones = torch.ones(len(images), dtype=torch.int64)
        return AttackResult(images, ones > 0, ones, ones, ones, ones)

    found = learn(attack, bright, present, model, radius=1.5)
    attacked = found.apply(bright)
    assert all(((each >= 0) & (each <= 1)).all() for each in [*seen, attacked])
    assert (bright + found.perturbation > 1).any()
    assert torch.equal(attacked, (bright + found.perturbation).clamp(0, 1))
    assert 1.4999 < found.perturbation.double().norm() <= 1.5


def test_fooled_images_cost_one_forward_pass():
    last = torch.nn.functional.one_hot(MODEL(IMAGES).argmin(dim=1), 6)
    found = learn(present=last)
    record = found.record
    assert (found.perturbation == 0).all()
    assert (record["forwards"], record["backwards"], record["evaluated"]) == (24, 0, 12)
    assert (record["stopped"], record["passes"]) == ("nothing moves", 1)
    assert found.trace["batches"] == [2, 3]  # the second one looked at nothing anew


def test_passes_add_up():
    alone = TKML(MODEL, IMAGES, TopKExcludes(TOP, 2))
    record = learn(batch_size=12, max_passes=1).record
    assert record["forwards"] == alone.forwards.sum() + 12
    assert record["backwards"] == alone.backwards.sum() > 0
    record = learn(scripted(0.01, 0.01), max_passes=2, batch_size=2, eval_every=5).record
    assert record["evaluated"] == 3 * 12  # after 5, 10 and 12 mini-batches
    assert (record["forwards"], record["backwards"]) == (12 * 2 * 6 + 36, 12 * 2 * 2)
    assert (record["stopped"], record["passes"]) == ("passes", 2)


def test_trace_is_measured_on_the_training_images():
    found = learn(max_passes=1, batch_size=12)
    goal, logits = TopKExcludes(TOP, 2), MODEL(found.apply(IMAGES))
    for name in ("asr", "sasr", "lfr"):
        assert found.trace[name] == [goal.measures(logits, logits)[name].double().mean().item()]
    assert found.trace["norm"] == [found.perturbation.norm().item()]
    assert found.trace["batches"] == [1]


def test_fooling_rate_stops_at_once():
    found = learn(max_passes=10, batch_size=2, eval_every=1, fooling_rate=0.5)
    assert found.record["stopped"] == "fooling rate"
    assert found.trace["asr"][-1] >= 0.5 > max(found.trace["asr"][:-1], default=0)


def test_best_comes_back_not_the_last():
    """Steps away and back: the largest SASR + LFR is that of an evaluation in between."""
    direction = torch.randn(IMAGES[:1].shape, generator=torch.Generator().manual_seed(2)).double()
    moves = iter([*4 * [direction / 10], *4 * [-direction / 10]])

    def attack(model, images, goal):
        ones = torch.ones(len(images), dtype=torch.int64)
        return AttackResult(images + next(moves), ones > 0, ones, ones, ones, ones)

    found = learn(attack, batch_size=12, max_passes=8, eval_every=1)
    totals = [a + b for a, b in zip(found.trace["sasr"], found.trace["lfr"], strict=True)]
    best = totals.index(max(totals))
    assert 0 <= best < 7
    assert len(set(totals)) > 2
    assert found.perturbation.norm().item() == pytest.approx(found.trace["norm"][best])


def test_patience_stops():
    found = learn(scripted(*12 * [1e-6]), batch_size=12, max_passes=50, eval_every=1, patience=4)
    assert found.record["stopped"] == "patience"
    assert len(found.trace["asr"]) == 6


def test_one_long_search_tells_what_shorter_patience_gives():
    common = {"batch_size": 1, "max_passes": 8, "eval_every": 1}
    long = learn(patience=40, history=True, **common)
    assert len(long.history) == len(long.trace["asr"])
    found = set()
    for patience in (1, 3, 6):
        place = chosen(Patience(patience), long.trace)
        assert torch.equal(long.history[place], learn(patience=patience, **common).perturbation[0])
        found.add(place)
    assert len(found) > 1


def test_hiding_goes_on_after_the_ranking():
    """MASW's goal asks more of an image than to be fooled."""
    common = {"images": IMAGES, "batch_size": 6, "max_passes": 5, "fooling_rate": 1.0, "eval_every": 100}
    plain, hiding = (learn(inner_attack("masw", learning_rate=0.05), hide=hide, **common) for hide in (False, True))
    assert hiding.trace["lfr"][-1] > plain.trace["lfr"][-1]


def test_order_of_the_images_does_not_matter():
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(4))
    found = learn()
    assert torch.equal(found.perturbation, learn(images=IMAGES[shuffled], present=TOP[shuffled]).perturbation)
    assert not torch.equal(found.perturbation, learn(seed=1).perturbation)


def test_every_pass_has_an_order_of_its_own():
    passes = torch.cat(list(_mini_batches(IMAGES, 5, 3, seed=0))).view(3, 12)
    assert (passes.sort(dim=1).values == torch.arange(12)).all()
    assert not torch.equal(passes[0], passes[1])
    assert [len(each) for each in _mini_batches(IMAGES, 5, 1, seed=0)] == [5, 5, 2]


@pytest.mark.parametrize("name", INNER)
def test_every_inner_attack(name):
    model, images = SmallNet(), mid_grey(8)
    present = torch.nn.functional.one_hot(model(images).argmax(dim=1), 6)
    options = {"correlation": torch.full((6, 6), 0.1)} if name == "tkalc" else {}
    if name not in ("pgd", "kfool", "madw"):
        options["learning_rate"] = 0.05
    found = learn(inner_attack(name, 20, **options), images, present, model, k=2, hide=name in ("masw", "madw"))
    assert found.method == name
    assert found.trace["asr"][-1] >= 0.5
    assert 0 < found.perturbation.norm() <= 50


def test_inner_settings():
    settings = inner_attack("tkml").keywords
    assert settings == {"max_iterations": 50, "radius": math.inf}
    assert inner_attack("tkml", 7, radius=2.0).keywords == {"max_iterations": 7, "radius": 2.0}
    with pytest.raises(ValueError, match=r"inner attack is 'kuv': did you mean .*\? There are pgd, kfool"):
        inner_attack("kuv")


def test_evaluation_by_hand():
    found = learn(k=2)
    z = found.perturbation
    table = evaluate_top_k(found, MODEL, IMAGES, TOP, k=1, chunk=5)
    goal, after = TopKExcludes(TOP, 1), MODEL((IMAGES + z).clamp(0, 1))
    for name, values in goal.measures(MODEL(IMAGES), after).items():
        assert table[name].tolist() == values.double().tolist()
    assert table["norm"].tolist() == pytest.approx(12 * [z.norm().item()])
    assert table["l2"].tolist() == pytest.approx([(each + z - each).norm().item() for each in IMAGES])
    assert len(evaluate_top_k(found, MODEL, IMAGES, TOP)) == 12


def test_round_trip(tmp_path):
    path, found = tmp_path / "a" / "z.safetensors", learn()
    save(found, path)
    for back in (load(path), load(path, Pool(MODEL, IMAGES, list("abcdef")))):
        assert torch.equal(back.perturbation, found.perturbation)
        for name in ("radius", "k", "method", "trace", "record"):
            assert getattr(back, name) == getattr(found, name)
    with pytest.raises(ValueError, match=r"for images of shape \(3, 6, 6\), the pool has \(3, 8, 8\)"):
        load(path, Pool(SmallNet(6), mid_grey(3, (3, 8, 8))))
    found.perturbation.mul_(1000)
    save(found, path)
    with pytest.raises(ValueError, match=r"a perturbation beyond radius = 50\.0"):
        load(path)


def test_errors():
    with pytest.raises(ValueError, match=r"image 0 has 1 of 6 labels, which leaves no 6 others|k is 6: it must be"):
        learn(k=6)
    with pytest.raises(ValueError, match="goal speaks of 11 images, the batch has 12"):
        learn(present=TOP[1:])
    with pytest.raises(ValueError, match="images hold no image"):
        learn(images=IMAGES[:0], present=TOP[:0])
    for name in ("batch_size", "max_passes", "eval_every", "patience", "chunk"):
        for value in (0, 1.5):
            with pytest.raises(ValueError, match=f"{name} is {value}: it must be a whole number, 1 or above"):
                learn(**{name: value})
    with pytest.raises(ValueError, match="radius is 0: it must be above 0"):
        learn(radius=0)
    with pytest.raises(ValueError, match="fooling_rate is 2"):
        learn(fooling_rate=2)
    with pytest.raises(ValueError, match=r"images have shape \(3, 8, 8\), the perturbation \(3, 6, 6\)"):
        learn().apply(mid_grey(2, (3, 8, 8)))
