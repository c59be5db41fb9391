"""One-Pixel: the evolution step by step, and the best single pixel of an affine model."""

from itertools import permutations

import pytest
import torch
from scipy import stats

from flipbook.attacks.one_pixel import _draw, _evaluate, _first, _fitter, _mutants, one_pixel
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys
from flipbook.goals import ClassTarget
from tests.affine import Affine, SmallNet, mid_grey, random_affine

COLUMNS = ("images", "reached", "iterations", "forwards", "backwards", "first_success")


def single_changes(model, image, target):
    """Margin of class `target` against the other after each pixel has gone to each corner of the colour cube."""
    channels, height, width = image.shape
    x = image.repeat(height * width, 2**channels, 1, 1, 1)
    for pixel in range(height * width):
        for corner in range(2**channels):
            bits = torch.tensor([corner >> c & 1 for c in range(channels)]).to(image)
            x[pixel, corner, :, pixel // width, pixel % width] = bits
    z = model(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return z[..., target] - z[..., 1 - target]


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_the_best_pixel_of_an_affine_model(seed):
    """It gets 98 % of what the best pixel and corner can gain, and of course not more than all of it."""
    base, x = random_affine(outputs=2, seed=seed), mid_grey(3, seed=seed)
    goal = ClassTarget(torch.tensor([1]))
    for n in range(3):
        clean, best = float(goal.margins(base(x[n : n + 1]))), float(single_changes(base, x[n], 1).max())
        for share, generations in ((0.98, 60), (1.0001, 5)):
            level = clean + share * (best - clean)
            model = Affine(base.W, base.b + torch.tensor([9.0 + level, 9.0])).eval()
            result = one_pixel(model, x[n : n + 1], goal, generations=generations)
            assert bool(result.reached) == (share < 1)


@pytest.mark.parametrize("pixels", [1, 3])
def test_changes_no_more_pixels_than_asked_and_counts_generations(pixels):
    model, x = SmallNet(), mid_grey(8)
    goal = ClassTarget(model(x).argsort(dim=1)[:, 2])
    result = one_pixel(model, x, goal, pixels=pixels, population=20, generations=6)
    changed = (result.images != x).any(dim=1).flatten(1).sum(dim=1)
    assert 0 < int(result.reached.sum()) < 8 or pixels == 3
    assert (changed <= pixels).all()
    assert (changed[result.reached] >= 1).all()
    generations = torch.where(result.reached, result.iterations, 6)
    assert torch.equal(result.forwards, 1 + 20 * (generations + 1))
    assert torch.equal(result.first_success, torch.where(result.reached, result.forwards, -1))
    assert not result.backwards.any()


def test_first_candidates_are_uniform_in_place_and_normal_in_colour():
    x = mid_grey(3, shape=(3, 4, 5))
    candidates = _first(keys(x), x, 600, 2)
    assert candidates.shape == (3, 600, 2, 5)
    row, column, colour = candidates.flatten(0, 2).tensor_split((1, 2), dim=1)
    for place, size in ((row, 4), (column, 5)):
        assert stats.kstest(place.flatten() / size, "uniform").pvalue > 0.01
    inside = colour[(colour > 0) & (colour < 1)]
    cut = stats.truncnorm(-128 / 127, 127 / 127, loc=128 / 255, scale=127 / 255)
    assert stats.kstest(inside, cut.cdf).pvalue > 0.01
    share = float((colour == 0).double().mean())
    assert share == pytest.approx(stats.norm.cdf(-128 / 127), abs=0.02)
    assert float((colour == 1).double().mean()) == pytest.approx(stats.norm.cdf(-1), abs=0.02)


def test_a_child_is_made_of_three_others():
    """Every value tells which candidates it was made of; all triples occur."""
    x = mid_grey(1, shape=(1, 4, 4))
    values = 0.4 + 0.0005 * 5.0 ** torch.arange(5, dtype=torch.float64)
    parent = values[None, :, None, None].expand(1, 5, 1, 3)
    seen = set()
    for generation in range(1, 120):
        child = _mutants(parent, keys(x), generation, 0.5, x)
        for i in range(5):
            others = permutations([j for j in range(5) if j != i], 3)
            made = [
                t for t in others if abs(child[0, i, 0, 0] - values[t[0]] - (values[t[1]] - values[t[2]]) / 2) < 1e-9
            ]
            assert len(made) == 1
            seen.add((i, *made[0]))
    assert len(seen) == 5 * 4 * 3 * 2


def test_children_stay_in_the_box_and_places_in_the_image():
    x = mid_grey(2, shape=(3, 4, 5))
    child = _mutants(_first(keys(x), x, 200, 1), keys(x), 1, 5.0, x)
    assert [float(v) for v in child.flatten(0, 2).amin(dim=0)] == [0] * 5
    assert [float(v) for v in child.flatten(0, 2).amax(dim=0)] == [4, 5, 1, 1, 1]
    drawn = _draw(x, child).unflatten(0, (2, 200))
    changed = (drawn != x[:, None]).any(dim=2).flatten(2).sum(dim=2)
    assert (changed == 1).all()
    corner = torch.tensor([[[[4.0, 5.0, 0.0, 1.0, 0.25]]]]).double()
    assert _draw(x[:1], corner)[0, :, 3, 4].tolist() == [0, 1, 0.25]


def test_of_two_pixels_at_one_place_the_later_is_seen():
    x = mid_grey(1)
    here, there = [2.2, 3.9, 0.1, 0.2, 0.3], [2.8, 3.1, 0.4, 0.5, 0.6]
    drawn = _draw(x, torch.tensor([[[here, there], [there, here]]], dtype=torch.float64))
    assert drawn[:, :, 2, 3].tolist() == [there[2:], here[2:]]
    assert ((drawn != x).any(dim=1).flatten(1).sum(dim=1) == 1).all()


def test_fitness_is_the_log_probability_and_cost_is_counted_per_candidate():
    model, x = SmallNet(), mid_grey(3)
    goal, candidates = ClassTarget(torch.tensor([0, 4, 2])), _first(keys(x), x, 7, 2)
    net = PassCounter(model, x)
    fitness, violations, norm = _evaluate(net, x, goal, candidates, chunk=4)
    images = _draw(x, candidates)
    z = model(images).unflatten(0, (3, 7))
    expected = torch.stack([z[n].log_softmax(dim=1)[:, goal.target[n]] for n in range(3)])
    torch.testing.assert_close(fitness, expected)
    others = (z > z.gather(2, goal.target[:, None, None].expand(3, 7, 1))).sum(dim=2)
    assert torch.equal(violations, others)
    torch.testing.assert_close(norm, (images.unflatten(0, (3, 7)) - x[:, None]).flatten(2).norm(dim=2))
    assert net.forwards.tolist() == [7] * 3


def test_a_tie_keeps_the_parent():
    parent, child = torch.zeros(1, 3, 1, 5), torch.ones(1, 3, 1, 5)
    fitness = torch.full((1, 3), -1.0, dtype=torch.float64)
    better = torch.tensor([[-1.0 + 1e-15, -0.9, -1.1]], dtype=torch.float64)
    kept, value = _fitter(parent, fitness, child, better)
    assert kept[0, :, 0, 0].tolist() == [0, 1, 0]
    assert value[0].tolist() == [-1, -0.9, -1]


def test_chunks_and_repeated_images_change_nothing():
    model, x = SmallNet(), mid_grey(4)
    images = x[[0, 0, 1, 2, 0, 3]]
    goal = ClassTarget(torch.tensor([0, 1, 2, 3, 4, 5]))
    options = {"population": 20, "generations": 5, "pixels": 2}
    usual = one_pixel(model, images, goal, **options)
    for chunk in (1, 7, 10**6):
        other = one_pixel(model, images, goal, chunk=chunk, **options)
        torch.testing.assert_close(usual.images, other.images, atol=0, rtol=0)
        assert all(torch.equal(getattr(usual, c), getattr(other, c)) for c in COLUMNS[1:])
    alone = one_pixel(model, images[4:5], goal[4:5], **options)
    assert all(torch.equal(getattr(usual, c)[4:5], getattr(alone, c)) for c in COLUMNS)


def test_another_seed_gives_another_result():
    model, x = SmallNet(), mid_grey(3)
    goal = ClassTarget(model(x).argsort(dim=1)[:, -2])
    first, again, other = (one_pixel(model, x, goal, population=20, generations=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize(("option", "value"), [("population", 3), ("pixels", 0), ("generations", 0), ("factor", 0)])
def test_options_out_of_range_are_named(option, value):
    model, x = random_affine(), mid_grey(2)
    with pytest.raises(ValueError, match=f"{option} is {value}"):
        one_pixel(model, x, ClassTarget(torch.tensor([0, 1])), **{option: value})
