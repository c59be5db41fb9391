"""CornerSearch: its table against brute force, the law of its ranks, its composites, and what they cost."""

import pytest
import torch
from torch import nn

from flipbook.attacks.corner_search import (
    _best_moves,
    _colours,
    _composites,
    _drawn,
    _Pairs,
    _ranks,
    _sigma_map,
    corner_search,
)
from flipbook.core.pass_counter import PassCounter
from flipbook.core.per_image_random import keys, uniform
from flipbook.goals import ClassTarget, LabelVector
from tests.affine import Affine, SmallNet, mid_grey, random_affine
from tests.attacks.plain_corner_search import plain_corner_search

COLUMNS = ("images", "reached", "iterations", "forwards", "backwards", "first_success")
VARIANTS = ("l0", "l0+linf", "l0+sigma")
MOVES = 8 * 36  # corners of the colour cube times pixels


def single_moves(image, variant, size):
    """Every image that one move makes, in plain loops, as (place, image)."""
    channels, height, width = image.shape
    σ = _sigma_map(image[None])[0]
    for place in range(height * width):
        row, column = divmod(place, width)
        old = image[:, row, column]
        signs = [[b >> c & 1 for c in range(channels)] for b in range(2**channels)]
        for sign in [[0], [1]] if variant == "l0+sigma" else signs:
            sign = torch.tensor(sign).to(image)
            changed = image.clone()
            if variant == "l0":
                changed[:, row, column] = sign
            elif variant == "l0+linf":
                changed[:, row, column] = (old + size * (2 * sign - 1)).clamp(0, 1)
            else:
                by = size * (2 * sign - 1) * σ[:, row, column]
                changed[:, row, column] = (old * (1 + by) if channels > 1 else old + by).clamp(0, 1)
            yield place, changed


def best_moves(model, x, goal, variant="l0+linf", size=0.7, n_max=10**6, number=None, chunk=50):
    net = PassCounter(model, x)
    result = _best_moves(
        net, x, goal, lambda d: _colours(d, variant, size), lambda d, n: _drawn(d, n, 0, number), n_max, chunk
    )
    return net, *result


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_moves_are_ranked_as_by_brute_force(variant, channels):
    """Images repeat, goals do not; some moves are cut by the box."""
    model = SmallNet(channels=channels)
    x = (2 * mid_grey(3, (channels, 5, 6)) - 0.2).clamp(0, 1)[[1, 0, 1, 2]]
    goal = ClassTarget(torch.tensor([0, 1, 2, 3]))
    net, place, colour, missed = best_moves(model, x, goal, variant)
    for n in range(4):
        places, images = zip(*single_moves(x[n], variant, 0.7), strict=True)
        z = model(torch.stack(images))
        worst = goal[torch.full((len(z),), n)].margins(z).amin(dim=1)
        unchanged = (torch.stack(images) == x[n]).flatten(1).all(dim=1)
        worst[unchanged] = -torch.inf
        order = worst.argsort(descending=True, stable=True)
        assert place[n].tolist() == [places[i] for i in order]
        for rank in (0, 1, 5, len(order) - 1):
            row, column = divmod(int(place[n, rank]), 6)
            torch.testing.assert_close(colour[n, rank], images[order[rank]][:, row, column])
        assert int(missed[n]) == int((z[order[0]] > z[order[0], n]).sum())
        assert int(net.forwards[n]) == len(z)


def test_equal_images_pass_the_model_once():
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return model(x)

    model, x = random_affine(), mid_grey(2)[[0, 1, 0, 0, 1]]
    net, *_ = best_moves(Watched(), x, ClassTarget(torch.arange(5)))
    assert sum(seen) == 2 * MOVES
    assert max(seen) <= 50
    assert net.forwards.tolist() == [MOVES] * 5


def test_a_random_part_of_the_moves_belongs_to_the_image():
    model, x = SmallNet(), mid_grey(2)[[0, 1, 0]]
    goal = ClassTarget(torch.tensor([0, 1, 2]))
    net, place, colour, _ = best_moves(model, x, goal, number=40)
    assert place.shape == (3, 40)
    tried = [{(int(p), *c.tolist()) for p, c in zip(place[n], colour[n], strict=True)} for n in range(3)]
    assert tried[0] == tried[2] != tried[1]
    assert all(len(each) == 40 for each in tried)
    assert net.forwards.tolist() == [40] * 3


def test_ranks_follow_the_published_law():
    for n in (1, 7, 100):
        middles = (torch.arange(n * n).double() + 0.5) / n**2
        expected = [2 * (n - r) - 1 for r in range(n)]
        assert torch.bincount(_ranks(middles, n), minlength=n).tolist() == expected
    assert _ranks(torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64), 100).tolist() == [99, 0]


def test_composites_make_their_moves_together():
    """At most as many pixels as draws; a pixel that is drawn twice gets its better move."""
    x, n_max = mid_grey(2), 30
    g = torch.Generator().manual_seed(0)
    place = torch.randint(36, (2, n_max), generator=g)
    colour = torch.rand(2, n_max, 3, generator=g, dtype=torch.float64)
    key = keys(x)
    pairs = _Pairs(ClassTarget(torch.tensor([0, 1])), x, key, key, place, colour)
    ranks = _ranks(uniform(key, 5 * 9, 1), n_max).view(2, 5, 9)
    composites = _composites(pairs, ranks).unflatten(0, (2, 5))
    twice = 0
    for n in range(2):
        for i in range(5):
            expected = x[n].clone()
            for rank in sorted(ranks[n, i].tolist(), reverse=True):
                row, column = divmod(int(place[n, rank]), 6)
                expected[:, row, column] = colour[n, rank]
            assert torch.equal(composites[n, i], expected)
            changed = int((composites[n, i] != x[n]).any(dim=0).sum())
            assert changed <= 9
            twice += changed < len(set(ranks[n, i].tolist()))
    assert twice > 0


def test_the_spread_is_that_of_the_flatter_direction():
    """Stripes are flat along themselves; on a ramp all windows are alike but those at the border."""
    stripes = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(1, 1, 4, 4)
    assert not _sigma_map(stripes).any()
    steps = torch.arange(4.0) / 10
    ramp = (steps[:, None] + 2 * steps)[None, None].double()
    σ = _sigma_map(ramp)[0, 0]
    torch.testing.assert_close(σ[1:3], torch.full((2, 4), ((2 / 3) ** 0.5 / 10) ** 0.5).double())
    torch.testing.assert_close(σ[0, 0], torch.tensor((2 / 9) ** 0.5 / 10).double().sqrt())


def test_one_pixel_that_suffices_is_the_best_one():
    """The offset leaves half of the images within reach of one pixel."""
    base, x = random_affine(outputs=2, seed=3), mid_grey(6)
    images = torch.stack([torch.stack([image for _, image in single_moves(each, "l0", 1)]) for each in x])
    z = base(images.flatten(0, 1)).unflatten(0, (6, MOVES))
    margins, chosen = (z[..., 0] - z[..., 1]).max(dim=1)
    middle = margins.sort().values[2:4].mean()
    model = Affine(base.W, base.b + torch.tensor([9.0, 9.0 + middle])).eval()
    result = corner_search(model, x, ClassTarget(torch.zeros(6).long()), k=3, variant="l0")
    assert torch.equal(result.reached, margins > middle)
    best = images[torch.arange(6), chosen]
    assert torch.equal(result.images, torch.where(result.reached[:, None, None, None], best, x))
    assert torch.equal(result.iterations, result.reached.long())
    assert result.forwards.tolist() == [1 + MOVES] * 6


def test_the_first_level_with_a_success_is_the_last_one_tried():
    model, x = SmallNet(), mid_grey(8)
    goal = ClassTarget(model(x).argsort(dim=1)[:, 1])
    options = {"variant": "l0+linf", "n_max": 60, "n_iter": 30, "increment": 3}
    result = corner_search(model, x, goal, k=60, epsilon=0.15, doublings=0, **options)
    levels = torch.where(result.reached, result.iterations, 19)
    assert len(levels.unique()) > 2
    assert torch.isin(result.iterations[result.reached], torch.arange(1, 21, 3)).all()
    assert torch.equal(result.forwards, 1 + MOVES + 30 * (levels - 1) // 3)
    assert torch.equal(result.first_success, torch.where(result.reached, result.forwards, -1))
    δ = result.images - x
    assert ((δ != 0).any(dim=1).flatten(1).sum(dim=1) <= result.iterations).all()
    changed = δ[δ != 0].abs()
    torch.testing.assert_close(changed, torch.full_like(changed, 0.15))


def test_bounds_are_doubled_until_one_suffices():
    model, x = SmallNet(), mid_grey(8)
    goal = ClassTarget(model(x).argsort(dim=1)[:, 0])
    options = {"k": 15, "epsilon": 0.02, "n_iter": 20, "increment": 2}
    results = [corner_search(model, x, goal, doublings=d, **options) for d in range(4)]
    bounds = torch.full((8,), torch.inf)
    for d in reversed(range(4)):
        bounds[results[d].reached] = 0.02 * 2**d
    assert len(bounds.unique()) > 2
    largest = (results[-1].images - x).flatten(1).abs().amax(dim=1)
    found = results[-1].reached
    torch.testing.assert_close(largest[found], bounds[found].double())


@pytest.mark.parametrize(("variant", "turns"), [("l0", 1), ("l0+linf", 4), ("l0+sigma", 1)])
def test_failures_pay_for_every_level_of_every_bound(variant, turns):
    """0.3, 0.6, 1 and no more: ε has come to the whole range."""
    model = Affine(random_affine().W, 1e3 * torch.arange(6)).eval()
    x, k = mid_grey(3), torch.tensor([3, 16, 61])
    result = corner_search(
        model, x, ClassTarget(torch.zeros(3).long()), k=k, variant=variant, epsilon=0.2, n_iter=7, increment=2
    )
    table = MOVES if variant != "l0+sigma" else 72
    levels = torch.tensor([0, 2, 9])  # pixels 1, 5 and 20; levels 3, 5, 7, ... 19
    assert not result.reached.any()
    assert torch.equal(result.images, x)
    assert torch.equal(result.forwards, 1 + turns * (table + 7 * levels))
    assert not result.backwards.any()


def test_every_image_keeps_to_its_own_number_of_pixels():
    model, x = SmallNet(), mid_grey(6)
    goal = LabelVector(~(model(x) > 0))
    k = torch.tensor([3, 10, 20, 31, 60, 108])
    result = corner_search(model, x, goal, k=k, variant="l0", n_iter=20, increment=2)
    changed = (result.images != x).any(dim=1).flatten(1).sum(dim=1)
    assert (changed <= (k / 3).round()).all()
    alone = [corner_search(model, x[n : n + 1], goal[n : n + 1], k=int(k[n]), variant="l0", n_iter=20, increment=2)
             for n in range(6)]  # fmt: skip
    assert torch.equal(result.images, torch.cat([each.images for each in alone]))
    assert result.forwards.tolist() == [int(each.forwards) for each in alone]


def test_chunks_and_repeated_images_change_nothing():
    model, x = SmallNet(), mid_grey(4)
    images = x[[0, 3, 0, 1, 2, 0]]
    goal = ClassTarget(torch.tensor([0, 1, 2, 3, 4, 5]))
    options = {"k": 40, "epsilon": 0.1, "doublings": 1, "n_iter": 20, "increment": 3}
    usual = corner_search(model, images, goal, **options)
    for chunk in (5, 10**6):
        other = corner_search(model, images, goal, chunk=chunk, **options)
        assert all(torch.equal(getattr(usual, c), getattr(other, c)) for c in COLUMNS)
    for n in (0, 5):
        alone = corner_search(model, images[n : n + 1], goal[n : n + 1], **options)
        assert all(torch.equal(getattr(usual, c)[n : n + 1], getattr(alone, c)) for c in COLUMNS)


@pytest.mark.parametrize(("variant", "channels"), [(v, c) for v in VARIANTS for c in (1, 3)])
def test_equals_the_plain_search(variant, channels):
    """Each success, its level and its passes, image by image; one to four labels are to flip."""
    shape, seed, pixels = (channels, 4, 5), 3, 14
    model, x = SmallNet(channels=channels, gain=4.0), mid_grey(8, shape)
    goal = LabelVector((model(x) > 0) ^ (torch.arange(6) <= torch.arange(8)[:, None] % 4))
    options = {"n_max": 30, "n_iter": 12, "increment": 3}
    sizes = {"l0": [1.0], "l0+linf": [0.07, 0.14, 0.28], "l0+sigma": [0.8]}[variant]
    result = corner_search(
        model, x, goal, k=pixels * channels, variant=variant, epsilon=0.07, doublings=2, seed=seed, **options
    )
    for n in range(8):

        def numbers(turn, level, x0=x[n : n + 1]):
            return uniform(keys(x0, seed), 12 * level, (turn << 32) + level).view(12, level)

        image, level, passes = plain_corner_search(
            model, x[n], goal[n : n + 1], pixels, variant, sizes, **options, numbers=numbers
        )
        assert bool(result.reached[n]) == (image is not None)
        assert int(result.forwards[n]) == passes
        assert int(result.first_success[n]) == (-1 if image is None else passes)
        if image is not None:
            assert int(result.iterations[n]) == level
            torch.testing.assert_close(result.images[n], image, atol=1e-12, rtol=0)


CHANGES = [
    ("n_max", 3),
    ("n_iter", 5),
    ("increment", 4),
    ("seed", 1),
    ("epsilon", 0.2),
    ("variant", "l0"),
    ("moves", 30),
]


@pytest.mark.parametrize(("option", "value"), CHANGES)
def test_a_changed_option_changes_the_result(option, value):
    model, x = SmallNet(), mid_grey(5)
    goal = ClassTarget(model(x).argsort(dim=1)[:, 1])
    options = {"k": 60, "epsilon": 0.1, "n_iter": 20, "increment": 2}
    usual, changed = (corner_search(model, x, goal, **(options | o)) for o in ({}, {option: value}))
    assert not torch.equal(usual.images, changed.images)


BAD = [
    ("variant", "l1", "variant is 'l1'"),
    ("doublings", -1, "doublings is -1"),
    ("k", 1, "k is 1: it counts entries"),
    ("k", 109, "k is 109: it counts entries"),
    ("k", 2.5, "k has shape"),
    *((name, 0, f"{name} is 0") for name in ("epsilon", "kappa", "n_max", "n_iter", "increment", "moves", "chunk")),
]


@pytest.mark.parametrize(("option", "value", "message"), BAD)
def test_options_out_of_range_are_named(option, value, message):
    model, x = random_affine(), mid_grey(2)
    with pytest.raises(ValueError, match=message):
        corner_search(model, x, ClassTarget(torch.tensor([0, 1])), **({"k": 30} | {option: value}))
