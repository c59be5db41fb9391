"""Goals: margins say what the decision says, and constraints are the margins' derivative."""

import pytest
import torch
from scipy.linalg import hadamard

from flipbook.goals import ClassTarget, HideLabels, LabelVector

N, C = 12, 8
CODE = torch.from_numpy(hadamard(C)[:5]).double()


def logits(seed=0):
    return 2 * torch.randn(N, C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix(constraints, width=C):
    """A as a matrix, and b."""
    return constraints.matrix(width), constraints.offsets


def goals():
    g = torch.Generator().manual_seed(3)
    bits = torch.rand(N, C, generator=g) < 0.5
    hidden = torch.rand(N, C, generator=g) < 0.2
    return {
        "labels": LabelVector(bits),
        "hide": HideLabels(hidden, bits & ~hidden),
        "class": ClassTarget(torch.randint(C, (N,), generator=g)),
        "code": ClassTarget(torch.randint(5, (N,), generator=g), CODE),
    }


@pytest.mark.parametrize("name", goals())
def test_margins_are_positive_exactly_when_reached(name):
    goal = goals()[name]
    for seed in range(40):
        z = logits(seed)
        assert torch.equal((goal.margins(z) > 0).all(dim=1), goal.reached(z))
        assert torch.equal(goal.violations(z) == 0, goal.reached(z))


def test_distance_of_a_label_vector_is_hamming():
    z = torch.tensor([[1.0, -1.0, 2.0, 0.0]])
    assert LabelVector(torch.tensor([[0, 1, 1, 0]])).violations(z).item() == 2


@pytest.mark.parametrize("name", goals())
def test_nan_never_reaches(name):
    goal = goals()[name]
    assert not goal.reached(torch.full((N, C), torch.nan))[goal.margins(logits()).isfinite().any(dim=1)].any()


def test_logit_of_zero_means_absent():
    z = torch.zeros(1, 2)
    assert LabelVector(torch.tensor([[0, 0]])).reached(z).item()
    assert not LabelVector(torch.tensor([[1, 0]])).reached(z).item()


@pytest.mark.parametrize("name", ["labels", "hide", "class"])
def test_linear_goals_have_exact_constraints(name):
    goal, z, d = goals()[name], logits(), logits(9)
    A, b = matrix(goal.constraints(z))
    assert torch.equal(b, goal.margins(z))
    finite = torch.isfinite(b)
    torch.testing.assert_close(((A @ d[:, :, None]).squeeze(2) + b)[finite], goal.margins(z + d)[finite])


def test_code_constraints_on_logits_and_through_tanh():
    goal, z = goals()["code"], logits()
    A, b = matrix(goal.constraints(z))
    for n in range(N):
        t, others = goal.target[n], [i for i in range(5) if i != goal.target[n]]
        torch.testing.assert_close(A[n], CODE[t] - CODE[others])
        torch.testing.assert_close(b[n], (CODE[t] - CODE[others]) @ z[n])
    exact, margins = matrix(goal.exact_constraints(z))
    jacobian = torch.stack(
        [torch.func.jacrev(lambda v, n=n: goal[n : n + 1].margins(v[None])[0])(z[n]) for n in range(N)]
    )
    torch.testing.assert_close(exact, jacobian)
    torch.testing.assert_close(margins, goal.margins(z))


def test_codebook_decision_is_the_best_correlation_of_tanh():
    z = logits()
    best = (z.tanh() @ CODE.T).argmax(dim=1)
    assert ClassTarget(best, CODE).reached(z).all()
    assert not ClassTarget((best + 1) % 5, CODE).reached(z).any()


def test_bitwise_goal_of_a_code_is_its_codeword():
    goal = goals()["code"]
    assert torch.equal(goal.per_label().signs.double(), CODE[goal.target])
    assert goals()["class"].per_label().margins(logits()).shape == (N, C - 1)


def test_free_labels_do_not_matter():
    hidden = torch.tensor([[True, False, False]])
    goal = HideLabels(hidden)
    assert goal.reached(torch.tensor([[-1.0, 5.0, -5.0]])).item()
    assert not goal.reached(torch.tensor([[0.5, 5.0, -5.0]])).item()


@pytest.mark.parametrize("name", goals())
def test_indexing_selects_images(name):
    goal, z = goals()[name], logits()
    index = torch.tensor([3, 1, 1])
    assert len(goal[index]) == 3
    # A codebook's scores are a product of matrices, which some processors round by the size of the batch.
    rounding = 1e-14 if name == "code" else 0
    torch.testing.assert_close(goal[index].margins(z[index]), goal.margins(z)[index], rtol=0, atol=rounding)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelVector(torch.tensor([1, 0])), "one row an image"),
        (lambda: LabelVector(torch.tensor([[1, -1]])), "other than 0 and 1"),
        (lambda: HideLabels(torch.tensor([[1, 0]]), torch.tensor([[1, 0]])), "both hidden and kept"),
        (lambda: HideLabels(torch.tensor([[1, 0]]), torch.tensor([[1, 0, 0]])), "make them equal"),
        (lambda: ClassTarget(torch.tensor([0.5])), "one class index an image"),
        (lambda: ClassTarget(torch.tensor([5]), CODE), r"outside 0\.\.4"),
        (lambda: ClassTarget(torch.tensor([0]), torch.tensor([[0.0, 1.0]])), "other than -1 and \\+1"),
        (lambda: LabelVector(torch.tensor([[1, 0]])).check(torch.zeros(1, 3)), "2 columns, the model gives 3 logits"),
        (lambda: ClassTarget(torch.tensor([7])).check(torch.zeros(1, 3)), "class 7, the model has 3 classes"),
    ],
)
def test_bad_goals_are_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_nan_margin_counts_as_missed():
    nan = torch.tensor([[float("nan"), 1.0, 2.0]])
    assert ClassTarget(torch.tensor([1])).violations(nan).tolist() == [2]
    assert LabelVector(torch.ones(1, 3)).violations(nan).tolist() == [1]


def test_other_types_than_tensors_are_refused():
    with pytest.raises(ValueError, match="LabelVector: target is a list: give a tensor"):
        LabelVector([[1, 0]])
    with pytest.raises(ValueError, match="ClassTarget: target is a int: give a tensor of int64"):
        ClassTarget(1)
