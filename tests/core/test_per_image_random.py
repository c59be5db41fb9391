"""Random numbers of an image: uniform, independent, and a function of nothing but content, stream and position."""

import pytest
import torch
from scipy import stats

from flipbook.core.per_image_random import GOLDEN, _mix, keys, normal, uniform
from tests.affine import mid_grey


def numbers(count=4000, stream=0, n=6, seed=0):
    return uniform(keys(mid_grey(n), seed), count, stream)


def test_the_hash_is_splitmix64():
    """The first outputs of the published generator, started from 1234567."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = 1234567 + torch.arange(1, 5) * GOLDEN
    assert [value % 2**64 for value in _mix(states).tolist()] == published


def test_known_values():
    image = torch.arange(12.0).reshape(1, 3, 2, 2) / 12
    key = keys(image)
    assert key.tolist() == [5574576557918358311]
    assert uniform(key, 3, 5)[0].tolist() == [0.5415583211772825, 0.47462990614305256, 0.49968338319409356]
    expected = torch.tensor([[0.1043603869073191, -0.06363631858653832, -0.0007936407212229389]], dtype=torch.float64)
    torch.testing.assert_close(normal(key, 3, 5), expected, atol=1e-12, rtol=0)


def test_uniform_and_normal_have_their_distributions():
    u = numbers()
    assert u.min() >= 0
    assert u.max() < 1
    g = normal(keys(mid_grey(6)), 4000, 0)
    assert g.isfinite().all()
    for row in range(6):
        assert stats.kstest(u[row], "uniform").pvalue > 0.01
        assert stats.kstest(g[row], "norm").pvalue > 0.01
    cells = torch.stack([(u * 2**20).long() % 16, (u * 16).long()]).flatten(1)
    for digits in cells:  # low and high bits alike
        assert stats.chisquare(torch.bincount(digits, minlength=16)).pvalue > 0.01


@pytest.mark.parametrize("other", ["image", "stream", "seed", "position"])
def test_numbers_for_different_things_are_independent(other):
    u = numbers()
    v = {
        "image": lambda: uniform(keys(mid_grey(6, seed=2)), 4000, 0),
        "stream": lambda: numbers(stream=1),
        "seed": lambda: numbers(seed=1),
        "position": lambda: uniform(keys(mid_grey(6)), 4000, 0, start=1),
    }[other]()
    assert not torch.isin(u, v).any() or other == "position"
    pairs = (u * 8).long() * 8 + (v * 8).long()
    assert stats.chisquare(torch.bincount(pairs.flatten(), minlength=64)).pvalue > 0.01


def test_neighbours_and_their_order_do_not_matter():
    x = mid_grey(6)
    together = uniform(keys(x), 50, 7)
    order = torch.tensor([4, 2, 0])
    assert torch.equal(uniform(keys(x[order]), 50, 7), together[order])
    assert torch.equal(torch.cat([uniform(keys(x[i : i + 1]), 50, 7) for i in range(6)]), together)
    assert keys(x[:0]).shape == (0,)
    assert uniform(keys(x[:0]), 5, 1).shape == (0, 5)


def test_streams_and_starts_may_differ_between_images_and_be_drawn_in_parts():
    key, stream, start = keys(mid_grey(3)), torch.tensor([4, 0, 9]), torch.tensor([0, 7, 2])
    whole = torch.stack([uniform(key[i : i + 1], 20, int(stream[i]))[0] for i in range(3)])
    parts = uniform(key, 10, stream, start)
    assert torch.equal(parts, torch.stack([whole[i, s : s + 10] for i, s in enumerate(start.tolist())]))


def test_a_key_knows_values_and_their_places():
    x = mid_grey(4).float()
    key = keys(x)
    assert torch.equal(keys(x.double()), key)
    assert torch.equal(keys(x.to(memory_format=torch.channels_last)), key)
    assert torch.equal(keys(x * 0), keys(x * -0.0))
    for changed in (x.flip(3), x.transpose(2, 3), x.nextafter(torch.ones(()))):
        assert (keys(changed) != key).all()
    seeds = torch.cat([keys(x, seed) for seed in (0, 1, 7, 2**63)])
    assert len(seeds.unique()) == 16


def test_the_global_generator_is_not_touched():
    state = torch.get_rng_state()
    numbers()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("seed", [0.5, -1, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ValueError, match=f"seed is {seed}: it must be a whole number, 0 or above"):
        keys(mid_grey(1), seed)
