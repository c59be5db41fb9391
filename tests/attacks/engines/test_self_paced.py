"""Self-paced weighting: the paper's recursion by hand, the other rules, and what scaling the weights keeps."""

import pytest
import torch

from flipbook.attacks.engines.self_paced import QUANTITIES, Pace, SelfPaced

ONE = torch.zeros(1, 1, 2, 2, dtype=torch.float64)


def thresholds(pace, values, slack=1.0):
    """ε after each iteration of one image with these values of the objective."""
    state, found = pace.start(ONE), []
    for value in values:
        state = pace.after(
            state, torch.tensor([[slack]], dtype=torch.float64), torch.tensor([value], dtype=torch.float64)
        )
        found.append(float(state.threshold))
    return found


def test_threshold_grows_with_a_fall_and_is_the_mean_of_two_after_a_rise():
    """Algorithm 1, lines 5 and 6, on falls and rises D, D, I, I, D: what a rise is compared with stays."""
    values = [9.0, 8.0, 8.5, 8.2, 7.9]
    expected = [0.0101, 0.010201, 0.0101505, 0.01012525, 0.0102265025]
    assert thresholds(Pace("spw"), values) == pytest.approx(expected, rel=1e-12)
    assert thresholds(Pace("hard"), values) == pytest.approx(expected, rel=1e-12)


def test_an_equal_objective_is_no_fall():
    assert thresholds(Pace("spw", eta=2.0, eps0=1.0), [5.0, 5.0]) == [2.0, 1.5]


def test_self_paced_learning_always_grows_and_fixed_never():
    values = [9.0, 8.0, 8.5, 8.2]
    assert thresholds(Pace("spl", eta=1.1, eps0=0.5), values) == pytest.approx([0.5 * 1.1**t for t in (1, 2, 3, 4)])
    assert thresholds(Pace("fixed", eps0=0.5), values) == [0.5] * 4


def test_weights_are_the_threshold_over_the_slack_beyond_it():
    """Eq. (24), with the threshold after its own update."""
    slack, value = torch.tensor([[0.0, 0.4, 0.55, 1.1, 5.5]], dtype=torch.float64), torch.ones(1).double()
    cases = {
        "spw": [1, 1, 1, 0.5, 0.1],
        "spl": [1, 1, 1, 0.5, 0.1],
        "fixed": [1, 1, 0.5 / 0.55, 0.5 / 1.1, 0.5 / 5.5],
        "hard": [1, 1, 1, 0, 0],
    }
    for rule, expected in cases.items():
        pace = Pace(rule, eta=1.1, eps0=0.5)
        after = pace.after(pace.start(ONE), slack, value)
        assert after.weights[0].tolist() == pytest.approx(expected, rel=1e-12)
    pace = Pace("none")
    assert (pace.after(pace.start(ONE), slack, value).weights == 1).all()


def test_scaled_weights_have_mean_one_over_the_violated_constraints():
    weights = torch.tensor([[0.5, 0.1, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    violated = torch.tensor([[True, True, False], [True, True, False]])
    scaled = Pace().scaled(weights, violated)
    torch.testing.assert_close(scaled[0, :2], weights[0, :2] / 0.3)
    assert float(scaled[0, :2].mean()) == pytest.approx(1)
    assert scaled[1].tolist() == [0, 0, 0]  # no weight to scale
    assert torch.equal(Pace(normalise=False).scaled(weights, violated), weights)


def hinges(goal, logits):
    return logits.clamp(min=0)


def test_an_objective_weighs_with_the_iteration_before_and_an_image_with_its_own_state():
    """Two images that go their own ways give what each gives alone, also after one of them has left."""
    z = torch.tensor([[1.0, 2.0, -1.0], [0.5, 4.0, 3.0]], dtype=torch.float64)
    later = [z, 0.9 * z, 1.1 * z]
    pace, images = Pace(eps0=0.5), ONE.expand(2, -1, -1, -1)
    λ = torch.tensor([[1.0, 2.0, 1.0]], dtype=torch.float64).expand(2, -1)
    both = SelfPaced(hinges, pace, λ, pace.start(images))
    alone = [SelfPaced(hinges, pace, λ[i : i + 1], pace.start(images[i : i + 1])) for i in range(2)]
    for step, logits in enumerate(later):
        rows = [0, 1] if step < 2 else [1]
        if step == 2:
            both = both[torch.tensor(rows)]
        value, found = both(None, logits[rows])
        expected = [alone[i](None, logits[i : i + 1]) for i in rows]
        torch.testing.assert_close(value, torch.cat([v for v, _ in expected]))
        assert tuple(found) == QUANTITIES
        for name in QUANTITIES:
            torch.testing.assert_close(found[name], torch.cat([q[name] for _, q in expected]))
    first, found = SelfPaced(hinges, pace, λ, pace.start(images))(None, z)
    assert first.tolist() == [5.0, 11.5]
    assert found["weight"].tolist() == [1, 1]
    assert found["violated"].tolist() == [2, 3]
    assert found["hinges"].tolist() == [3.0, 7.5]


def test_the_quadratic_form_has_half_the_square():
    pace = Pace("none")
    z = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)
    objective = SelfPaced(hinges, pace, torch.ones(1, 1).double(), pace.start(ONE), squared=True)
    assert objective(None, z)[0].tolist() == [2.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "soft"}, "weights is 'soft'"),
        ({"eta": 1.0}, "eta is 1.0: it must be above 1"),
        ({"eps0": 0}, "eps0 is 0"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        Pace(**options)
