"""NAG: any image size, seeds, evaluation mode, passes, and that training helps."""

import pytest
import torch

from flipbook.generative.generator import Generator, fresh
from flipbook.universal import evaluate, load, nag, save
from tests.universal.small import net_pool, short, single_precision


@pytest.mark.parametrize("shape", [(3, 6, 6), (1, 28, 28), (3, 64, 64), (3, 50, 37), (3, 448, 448)])
def test_any_image_size(shape):
    net = Generator(5, shape, 16)
    assert net(torch.randn(2, 5)).shape == (2, *shape)
    assert max(net.start[1:]) <= 8


def test_weights_come_from_the_seed_alone():
    state = torch.get_rng_state()
    first, again, other = (fresh(5, (3, 12, 12), 16, seed, torch.zeros(0)) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.linear.weight, other.linear.weight)


def test_one_perturbation_a_set_whatever_else_is_composed():
    result = nag(net_pool(), [0, 2, 3], short(), width=8, noise=4)
    assert not result.generator.training
    sets = [(0,), (2, 3), (0, 2, 3)]
    together = result.compose_all(sets)
    for omega, v in zip(sets, together, strict=True):
        assert torch.equal(result.compose(omega), v)
        assert float(v.abs().max()) == pytest.approx(0.05, rel=1e-6)  # 1e-9 beside its largest entry
    assert not torch.equal(together[1], together[2])


@pytest.mark.parametrize("width", [8, 64])
def test_in_single_precision_too_and_from_a_file(width, tmp_path):
    """Where products round: in a batch of another size, and from memory that begins at another place."""
    result = nag(single_precision(net_pool()), [0, 2, 3], short(), width=width)
    sets = [(0,), (2, 3), (0, 2), (0, 2, 3), (3,)]
    together = result.compose_all(sets)
    assert together.dtype == torch.float32
    for omega, v in zip(sets, together, strict=True):
        assert torch.equal(result.compose(omega), v)
    save(result, tmp_path / "u.safetensors")
    back = load(tmp_path / "u.safetensors")
    assert torch.equal(back.compose_all(sets), together)
    assert torch.equal(back.compose_all(sets[::-1]), together.flip(0))


def test_passes():
    pool = net_pool()
    record = nag(pool, [0, 2, 3], short(epochs=2, images=7, batch=4), width=8).record
    names = ("forwards", "backwards", "generator_forwards", "generator_backwards")
    assert [record[name] for name in names] == [2 * 3 * 7] * 4


def test_training_helps_and_repeats():
    pool, sets = net_pool(80), [(0,), (2,), (3,)]
    training = {"epsilon": 0.2, "images": 20, "batch": 10}
    little, much, again = (
        nag(pool, [0, 2, 3], short(epochs=epochs, **training), width=8, rate=1e-2) for epochs in (1, 12, 12)
    )
    assert torch.equal(much.compose_all(sets), again.compose_all(sets))
    before, after = (evaluate(each, pool, sets, progress=False)["hidden"].sum() for each in (little, much))
    assert after > before


def test_errors():
    result = nag(net_pool(), [0, 2], short(epochs=1), width=8)
    with pytest.raises(ValueError, match=r"NAG has no code for \{1\}: it has 0, 2"):
        result.compose([0, 1])
    with pytest.raises(ValueError, match="width is 0"):
        nag(net_pool(), [0], short(), width=0)
    with pytest.raises(ValueError, match=r"noise is 2\.5: it must be a whole number"):
        nag(net_pool(), [0], short(), noise=2.5)
