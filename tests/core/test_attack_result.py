import torch

from flipbook.core.attack_result import AttackResult


def part(n, steps, value):
    count = torch.full((n,), value)
    trace = {"loss": torch.full((n, steps), float(value), dtype=torch.float64)}
    return AttackResult(torch.full((n, 1, 2, 2), float(value)), count > 0, count, count, count, count, trace)


def test_join_keeps_the_order_and_fills_shorter_traces_up():
    joined = AttackResult.join([part(2, 3, 1), part(1, 5, 2), part(1, 0, 3)])
    assert len(joined) == 4
    assert joined.forwards.tolist() == [1, 1, 2, 3]
    assert joined.images[:, 0, 0, 0].tolist() == [1, 1, 2, 3]
    loss = joined.trace["loss"]
    assert loss.shape == (4, 5)
    assert loss.dtype == torch.float64
    assert torch.equal(loss[:, 0].isnan(), torch.tensor([False, False, False, True]))
    assert torch.equal(loss.isnan().sum(dim=1), torch.tensor([2, 2, 0, 5]))


def test_join_without_traces():
    parts = [part(1, 2, 1), part(2, 2, 2)]
    for each in parts:
        each.trace = {}
    assert AttackResult.join(parts).trace == {}
