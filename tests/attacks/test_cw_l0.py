"""C&W L0: against its plain wording, the fewest pixels by brute force, its stopping rules, and the trace of rounds."""

import itertools
import math

import numpy as np
import pytest
import torch

from flipbook.attacks.cw_l0 import cw_l0
from flipbook.core.attack_result import AttackResult
from flipbook.goals import ClassTarget, HideLabels
from tests.affine import Affine, SmallNet, mid_grey, random_affine

SHORT = {"initial_const": 0.05, "largest_const": 2.0, "max_iterations": 6, "learning_rate": 0.05, "shrink": 1.5}


def second_class(model, x):
    return ClassTarget(model(x).argsort(dim=1)[:, -2])


def plain_cw_l0(model, x0, goal, channels_together=True, stop_at=0):
    """One image (1, channels, H, W), with torch's own Adam: changes of all rounds, and the steps made."""
    w0 = ((2 * x0 - 1) * 0.999999).atanh()
    allowed, start, c, steps, rounds = torch.ones_like(x0), w0, SHORT["initial_const"], 0, []
    while True:
        w = start.clone().requires_grad_()
        adam = torch.optim.Adam([w], lr=SHORT["learning_rate"])
        for t in itertools.count():
            if t and t % SHORT["max_iterations"] == 0:
                c *= 2
                if c >= SHORT["largest_const"]:
                    return rounds, steps
            steps += 1
            full = (w.tanh() + 1) / 2 - x0
            δ = torch.where((full.abs() > 1e-4) & (allowed == 1), full, full * 0)
            # A change too small to be made still feels the pull of the goal, so that it can grow.
            seen = x0 + δ + torch.where(δ == 0, full - full.detach(), 0.0) * allowed
            lag = torch.relu(0.01 - goal.margins(model(seen)).min())
            adam.zero_grad()
            (δ.square().sum() + c * lag).backward()
            if lag < 1e-4:
                break
            adam.step()
        δ = δ.detach()
        rounds.append(δ)
        if channels_together:
            score, changed = δ.sum(dim=1).abs() * w.grad.abs().sum(dim=1), (δ != 0).any(dim=1).sum()
            at_hand = allowed[:, 0]
        else:
            score, changed, at_hand = δ.abs() * w.grad.abs(), (δ != 0).sum(), allowed
        number = 0
        for e in np.argsort(score.flatten().numpy(), kind="stable"):
            if at_hand.flatten()[e]:
                number += 1
                at_hand.view(-1)[e] = 0
                if score.flatten()[e] > 0.01 or number >= SHORT["shrink"] * math.sqrt(changed):
                    break
        allowed = at_hand[:, None].expand_as(x0).clone() if channels_together else at_hand
        start = torch.where(allowed == 1, w.detach(), w0)
        if not allowed.any() or (δ != 0).sum() <= stop_at:
            return rounds, steps


def l0(change):
    return (change != 0).flatten(1).sum(dim=1)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("stop_at", [None, 40])
def test_equals_the_plain_wording_of_one_image(independent, stop_at):
    """Rounds, c and its end, Adam's moments, scores and both limits, the record, the trace and the passes."""
    model, x = SmallNet(), mid_grey(5)
    goal = second_class(model, x)
    result = cw_l0(model, x, goal, independent_channels=independent, stop_at=stop_at, **SHORT)
    assert result.reached.any()
    for n in range(5):
        rounds, steps = plain_cw_l0(model, x[n : n + 1], goal[n : n + 1], not independent, stop_at or 0)
        assert int(result.backwards[n]) == steps
        assert int(result.forwards[n]) == steps + 1
        assert bool(result.reached[n]) == bool(rounds)
        if rounds:
            counts = torch.cat([l0(δ) for δ in rounds])
            best = int(counts.argmin())
            torch.testing.assert_close(result.images[n], (x[n] + rounds[best])[0], atol=1e-8, rtol=0)
            assert int(result.iterations[n]) == best + 1
            trace = {k: v[n][: len(rounds)] for k, v in result.trace.items()}
            assert trace["l0"].tolist() == counts.tolist()
            for name, p in (("l1", 1), ("l2", 2), ("linf", torch.inf)):
                torch.testing.assert_close(trace[name], torch.stack([δ.norm(p) for δ in rounds]), atol=1e-7, rtol=0)
        assert all(v[n][len(rounds) :].isnan().all() for v in result.trace.values())


def fewest_pixels(weights, x, lead):
    """Fewest pixels of a one-channel image whose change within the box adds at least `lead`, by trying all sets."""
    room = torch.where(weights > 0, 1 - x, x) * weights.abs()
    for k in range(1, len(x) + 1):
        if any(float(room[list(chosen)].sum()) >= lead for chosen in itertools.combinations(range(len(x)), k)):
            return k
    return None


@pytest.mark.parametrize("seed", range(4))
def test_ends_with_the_fewest_pixels_that_can_carry_an_affine_decision(seed):
    g = torch.Generator().manual_seed(seed)
    W = torch.randn(2, 12, generator=g, dtype=torch.float64)
    x = 0.5 + 0.1 * torch.randn(5, 1, 3, 4, generator=g, dtype=torch.float64)
    model = Affine(W).eval()
    goal = ClassTarget(model(x).argmin(dim=1))
    result = cw_l0(model, x, goal, initial_const=0.01, largest_const=300, max_iterations=60, shrink=0.1)
    assert result.reached.all()
    for n in range(5):
        t = int(goal.target[n])
        lead = float(model(x[n : n + 1])[0, 1 - t] - model(x[n : n + 1])[0, t]) + 0.01
        assert int(l0(result.images - x)[n]) == fewest_pixels(W[t] - W[1 - t], x[n].flatten(), lead)


def test_stops_at_the_first_success_with_so_few_entries():
    model, x = SmallNet(), mid_grey(5)
    goal = second_class(model, x)
    for limit in (90, 45):
        result = cw_l0(model, x, goal, stop_at=limit, **SHORT)
        counts = l0(result.images - x)
        assert (counts[result.reached] <= limit).all()
        assert (counts[result.reached] > 0).all()
        for row in result.trace["l0"][result.reached]:
            row = row[~row.isnan()]
            assert (row[:-1] > limit).all()
            assert row[-1] <= limit
    everything = cw_l0(model, x, goal, stop_at=x[0].numel(), **SHORT)
    assert (everything.iterations[everything.reached] == 1).all()


def test_the_trace_shrinks_and_joins():
    model, x = SmallNet(), mid_grey(5)
    goal = second_class(model, x)
    result = cw_l0(model, x, goal, **SHORT)
    rounds = (~result.trace["l0"].isnan()).sum(dim=1)
    assert len(set(rounds.tolist())) > 1
    assert result.trace["l0"].shape[1] == rounds.max()
    for row in result.trace["l0"]:
        assert (row[~row.isnan()].diff() <= 0).all()
    kept = result.images - x
    for n in range(5):
        at = int(result.iterations[n]) - 1
        assert result.trace["l0"][n, at] == l0(kept)[n]
        torch.testing.assert_close(result.trace["l2"][n, at], kept[n].norm())
    joined = AttackResult.join([cw_l0(model, x[i : i + 1], goal[i : i + 1], **SHORT) for i in range(5)])
    for name in ("l0", "l1", "l2", "linf"):
        torch.testing.assert_close(joined.trace[name], result.trace[name], atol=1e-7, rtol=0, equal_nan=True)


def test_pixels_are_changed_with_all_their_channels_and_entries_alone():
    model, x = SmallNet(), mid_grey(5)
    goal = second_class(model, x)
    pixels, entries = (cw_l0(model, x, goal, independent_channels=each, **SHORT) for each in (False, True))
    changed = (pixels.images != x)[pixels.reached].sum(dim=1)
    assert ((changed == 0) | (changed == 3)).float().mean() > 0.95  # a change below 1e-4 is not made
    changed = (entries.images != x)[entries.reached].sum(dim=1)
    assert ((changed == 1) | (changed == 2)).any()
    assert l0(entries.images - x).sum() < l0(pixels.images - x).sum()


def test_gives_up_when_c_is_spent():
    """Doubling from 0.1 to 10 takes 7 constants; the result is then the clean image or a closer one, not reached."""
    model, x = random_affine(outputs=2, scale=0.01), mid_grey(3)
    model.b[:] = torch.tensor([10.0, 0.0])
    result = cw_l0(
        model, x, ClassTarget(torch.ones(3, dtype=torch.int64)), **SHORT | {"initial_const": 0.1, "largest_const": 10}
    )
    assert not result.reached.any()
    assert result.backwards.tolist() == [7 * SHORT["max_iterations"]] * 3
    assert (result.first_success == -1).all()
    assert result.trace["l0"].shape == (3, 0)


def test_every_success_has_the_margin():
    model, x = SmallNet(), mid_grey(5)
    goal = second_class(model, x)
    for κ in (0.01, 0.5):
        result = cw_l0(model, x, goal, kappa=κ, **SHORT)
        succeeded = ~result.trace["l0"][:, 0].isnan()
        assert succeeded.sum() >= 4
        assert (goal.margins(model(result.images))[succeeded].amin(dim=1) >= κ - 1e-4).all()


def test_works_for_hidden_labels_at_the_edge_of_the_box():
    """Entries at 0 and 1, where tanh has no room, stay finite and in the box."""
    model, x = SmallNet(), mid_grey(4).sub(0.5).mul(8).add(0.5).clamp(0, 1)
    assert ((x == 0) | (x == 1)).any()
    present = model(x) > 0
    first = present & (present.cumsum(dim=1) == 1)
    result = cw_l0(model, x, HideLabels(first), **SHORT)
    assert result.reached.any()
    assert result.images.isfinite().all()
    assert result.images.min() >= 0
    assert result.images.max() <= 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("largest_const", 0.05, "largest_const is 0.05: it must be above initial_const, 0.05"),
        ("score_limit", -1, "score_limit is -1"),
        ("stop_at", 0, "stop_at is 0"),
        ("kappa", 0, "kappa is 0"),
        ("shrink", 0, "shrink is 0"),
        ("initial_const", -1, "initial_const is -1"),
        ("max_iterations", 0, "max_iterations is 0"),
        ("learning_rate", 0, "learning_rate is 0"),
    ],
)
def test_settings_out_of_range_are_named(option, value, message):
    model, x = SmallNet(), mid_grey(2)
    with pytest.raises(ValueError, match=message) as caught:
        cw_l0(model, x, second_class(model, x), **SHORT | {option: value})
    assert "\n" not in str(caught.value)
