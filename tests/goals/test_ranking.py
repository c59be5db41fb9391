"""The top-k goals against brute force over rankings, and the paper's own examples of its measures."""

import itertools

import pytest
import torch

from flipbook.goals import INF, TopKEquals, TopKExcludes, top_k


def marks(width, *labels):
    """One row (1, width) with these labels, counted from 0."""
    return torch.tensor([[j in labels for j in range(width)]])


def ranked(*labels, width):
    """Logits (1, width) in which these labels come first, in this order, all positive; the rest negative."""
    z = -torch.arange(1.0, width + 1)[None]
    for place, j in enumerate(labels):
        z[0, j] = len(labels) - place
    return z


def test_top_k_settles_ties_by_the_smaller_index():
    z = torch.tensor([[1.0, 3.0, 3.0, 1.0, 1.0]])
    assert top_k(z, 1).tolist() == [[False, True, False, False, False]]
    assert top_k(z, 4).tolist() == [[True, True, True, True, False]]
    with pytest.raises(ValueError, match=r"k is 6: it must be a whole number in 1\.\.5"):
        top_k(z, 6)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_excludes_is_disjointness_for_every_ranking(k):
    """All rankings of 5 labels, all sets Y that leave k others."""
    z = torch.tensor(list(itertools.permutations(range(5))), dtype=torch.float64)
    for size in range(1, 6 - k):
        for chosen in itertools.combinations(range(5), size):
            present = marks(5, *chosen).expand(len(z), -1)
            inside = [bool(set(row.topk(k).indices.tolist()) & set(chosen)) for row in z]
            assert TopKExcludes(present, k).reached(z).tolist() == [not each for each in inside]


@pytest.mark.parametrize("k", [1, 2, 4])
def test_equals_is_equality_of_sets_for_every_ranking(k):
    z = torch.tensor(list(itertools.permutations(range(5))), dtype=torch.float64)
    for chosen in itertools.combinations(range(5), k):
        target = marks(5, *chosen).expand(len(z), -1)
        goal = TopKEquals(target, k, present=~target)
        assert goal.reached(z).tolist() == [set(row.topk(k).indices.tolist()) == set(chosen) for row in z]


def test_a_tie_is_no_success():
    z = torch.tensor([[1.0, 1.0, 0.0]])
    assert not TopKExcludes(marks(3, 1), 1).reached(z)
    assert not TopKEquals(marks(3, 0), 1, present=marks(3, 1)).reached(z)


@pytest.mark.parametrize("scores", ["logit", "probability"])
@pytest.mark.parametrize("hide", [False, True])
@pytest.mark.parametrize("kind", ["excludes", "equals"])
def test_constraints_are_the_margins_derivative(kind, hide, scores):
    g = torch.Generator().manual_seed(0)
    z = torch.randn(7, 6, generator=g, dtype=torch.float64)
    keep = torch.randint(-1, 2, (7, 6), generator=g)
    present = marks(6, 0, 3).expand(7, -1)
    more = {"hide": hide, "keep": keep, "scores": scores}
    excludes, target = TopKExcludes(present, 2, **more), marks(6, 1, 5).expand(7, -1)
    goal = excludes if kind == "excludes" else TopKEquals(target, 2, present=present, **more)
    A, b = goal.constraints(z).matrix(6), goal.constraints(z).offsets
    assert torch.equal(b, goal.margins(z))
    finite = torch.where(b == INF, 0, 1)
    J = torch.autograd.functional.jacobian(lambda each: (goal.margins(each).nan_to_num(posinf=0) * finite).sum(0), z)
    torch.testing.assert_close(J.movedim(1, 0) * finite[:, :, None], A)
    assert not A[b == INF].any()


def test_margins_by_hand():
    z = torch.tensor([[3.0, 1.0, 2.0, -1.0]])
    Y = marks(4, 0, 1)
    assert TopKExcludes(Y, 1).margins(z).tolist() == [[-1, 1, INF, INF]]
    assert TopKExcludes(Y, 2, hide=True).margins(z).tolist() == [[-4, -2, INF, INF, -3, -1, INF, INF]]
    keep = torch.tensor([[0, 0, 1, -1]])
    assert TopKExcludes(Y, 1, keep=keep).margins(z).tolist() == [[-1, 1, INF, INF, INF, INF, 2, 1]]
    goal = TopKEquals(marks(4, 2, 3), 2, present=Y, hide=True)
    assert goal.margins(z).tolist() == [[-4, -2, -1, -4, -3, -1, INF, INF]]
    assert goal.violations(z).tolist() == [4 * 5 + 2]
    assert goal.ranking.violations(z).tolist() == [4 * 5 + 2]
    assert goal.per_label().signs.tolist() == [[-1, -1, 1, 1]]
    assert goal.ranking.margins(z).tolist() == [[-4, -2, -1, -4]]


def test_distance_puts_the_ranking_before_the_sides():
    """Sides break ties of the ranking even if the goal does not ask for them."""
    Y = marks(4, 0, 1)
    logits = ([[9.0, 8, -2, -1]], [[-1.0, 8, -2, -3]], [[-1.0, -2, -4, -3]], [[1.0, -4, 2, -3]], [[-3.0, -4, 2, -1]])
    ranked_only, hidden = (
        [int(TopKExcludes(Y, 2, hide=hide).violations(torch.tensor(z))) for z in logits] for hide in (0, 1)
    )
    assert ranked_only == [2 * 5 + 2, 2 * 5 + 1, 2 * 5, 1 * 5 + 1, 0]
    assert hidden == ranked_only
    assert TopKExcludes(Y, 1).violations(torch.tensor([[1.0, -2, 2, -3]])) == 0
    assert TopKExcludes(Y, 1, hide=True).violations(torch.tensor([[1.0, -2, 2, -3]])) == 1


def test_nothing_is_further_away_than_a_nan():
    """One NaN makes a ranking meaningless, even at a label that no requirement is about."""
    Y = marks(4, 0, 1)
    nan = torch.tensor([[1.0, 2.0, 3.0, float("nan")]])
    worst = torch.tensor([[9.0, 8, -2, -1]])
    for goal in (TopKExcludes(Y, 2), TopKExcludes(Y, 2, hide=True), TopKEquals(marks(4, 2, 3), 2, present=Y)):
        assert goal.violations(nan) > goal.violations(worst)
        assert not goal.reached(nan)


def test_success_is_asked_of_the_logits_where_probabilities_are_rounded():
    z = torch.tensor([[45.0, 50.0, -800.0, -900.0]])
    assert (z.sigmoid()[0, :2] == 1).all()
    goal = TopKExcludes(marks(4, 0), 1, scores="probability")
    assert goal.reached(z)
    assert goal.violations(z) == 0
    assert goal.measures(z, z)["asr"]


def test_a_label_at_exactly_one_half_is_still_predicted():
    """Eq. 6: f >= 0.5."""
    goal = TopKExcludes(marks(4, 0, 1), 1)
    before, after = torch.tensor([[1.0, 1.0, 0.0, -1.0]]), torch.tensor([[0.0, -1.0, 2.0, 0.0]])
    measured = goal.measures(before, after)
    assert measured["lfr"].item() == 0.5
    assert measured["sac"].item() == 0.5
    assert {value.dtype for name, value in measured.items() if name != "asr"} == {torch.float64}


@pytest.mark.parametrize(("top", "sasr"), [((1, 2, 3), 1 / 3), ((5, 6, 4), 2 / 3), ((1, 5, 6), 1.0)])
def test_soft_success_of_proposition_1(top, sasr):
    """Y = {2, 3, 4}: AFD_slc is 2/3 for the top three {1, 2, 3} and 1/3 for {5, 6, 4}, AFD_lc 0 for both."""
    goal = TopKExcludes(marks(7, 2, 3, 4), 3)
    z = ranked(*top, width=7)
    measured = goal.measures(z, z)
    assert measured["sasr"].item() == pytest.approx(sasr)
    assert measured["asr"].item() == (sasr == 1)


@pytest.mark.parametrize(("left", "lfr"), [((1,), 2 / 3), ((1, 5), 1 / 3), ((), 1.0)])
def test_flip_rate_of_proposition_1(left, lfr):
    """Y = {1, 4, 5}: one or two labels left count differently in AFD_slf, alike in AFD_lf."""
    z = ranked(*left, width=7)
    assert TopKExcludes(marks(7, 1, 4, 5), 3).measures(z, z)["lfr"].item() == pytest.approx(lfr)


@pytest.mark.parametrize(("after", "sac"), [((1,), 0.0), ((1, 4), 1 / 3), ((4, 5), 1.0)])
def test_attack_cost_of_proposition_1(after, sac):
    """B = {1, 4, 5} with 4 and 5 predicted before: what keeps its side."""
    goal = TopKEquals(marks(9, 2, 8), 2, present=marks(9, 0, 3, 6, 7))
    before = ranked(4, 5, width=9)
    assert goal.measures(before, ranked(*after, width=9))["sac"].item() == pytest.approx(sac)


def test_targeted_soft_success_counts_the_targets_inside():
    goal = TopKEquals(marks(6, 1, 2, 3), 3, present=marks(6, 0))
    z = ranked(1, 3, 5, 2, width=6)
    assert goal.measures(z, z)["sasr"].item() == pytest.approx(2 / 3)


def test_images_are_selected_with_all_that_is_theirs():
    present = torch.cat([marks(4, 0), marks(4, 1, 2)])
    goal = TopKEquals(
        torch.cat([marks(4, 3), marks(4, 0)]), 1, present=present, hide=True, keep=torch.eye(4)[:2].long()
    )
    part = goal[1:]
    assert len(part) == 1
    assert part.k == 1
    assert part.margins(torch.zeros(1, 4)).shape == (1, 8)
    assert torch.equal(part.present, present[1:])


ONE = marks(4, 0)
ERRORS = {
    "k is 4: it must be a whole number in 1..3": lambda: TopKExcludes(ONE, 4),
    "k is 0: it must be a whole number in 1..3": lambda: TopKEquals(marks(4), 0, present=ONE),
    "k is 2.0: it must be a whole number in 1..3": lambda: TopKExcludes(ONE, 2.0),
    "k is True: it must be a whole number": lambda: TopKExcludes(ONE, True),
    "present is a list: give a tensor": lambda: TopKExcludes([[1, 0, 0, 0]], 1),
    r"keep must be \(1, 4\) of -1, 0 and 1": lambda: TopKExcludes(ONE, 1, keep=ONE > 0),
    "image 0 has no label in `present`": lambda: TopKExcludes(marks(4), 1),
    "image 0 has 3 of 4 labels, which leaves no 2 others": lambda: TopKExcludes(marks(4, 0, 1, 2), 2),
    "image 0 has 1 target labels, k is 2": lambda: TopKEquals(marks(4, 3), 2, present=ONE),
    r"target has shape \(1, 5\)": lambda: TopKEquals(marks(5, 3), 1, present=ONE),
    "scores is 'prob'": lambda: TopKExcludes(ONE, 1, scores="prob"),
    "keep must be": lambda: TopKExcludes(ONE, 1, keep=torch.full((1, 4), 2)),
    "present has entries other than 0 and 1": lambda: TopKExcludes(ONE * 2, 1),
}


@pytest.mark.parametrize("message", ERRORS)
def test_bad_goals_are_refused_in_one_line(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_a_model_with_other_labels_is_refused():
    with pytest.raises(ValueError, match="TopKExcludes: present has 4 columns, the model gives 5 logits"):
        TopKExcludes(ONE, 1).check(torch.zeros(1, 5))
