"""Constraints kept as labels and weights say what the matrix says, and images are sorted by how many rows they have."""

import pytest
import torch

from flipbook.goals import (
    INF,
    ClassTarget,
    Constraints,
    HideLabels,
    LabelVector,
    TopKEquals,
    TopKExcludes,
    equally_many,
)

N, C = 5, 7
CODE = torch.tensor([[1.0, 1, -1, 1, -1, -1, 1], [-1, 1, 1, -1, 1, -1, 1], [1, -1, 1, 1, 1, 1, -1]]).double()


def logits(seed=0):
    return torch.randn(N, C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def marks(*labels):
    return torch.isin(torch.arange(C), torch.tensor(labels)).expand(N, -1)


GOALS = {
    "labels": LabelVector(marks(0, 3)),
    "hide": HideLabels(marks(1, 2), marks(5)),
    "class": ClassTarget(torch.arange(N)),
    "code": ClassTarget(torch.tensor([0, 1, 2, 0, 1]), CODE),
    "excludes": TopKExcludes(marks(0, 3), 2, hide=True),
    "equals": TopKEquals(marks(4, 6), scores="probability"),
    "both": HideLabels(marks(1)) & ClassTarget(torch.full((N,), 4)) & ClassTarget(torch.tensor([0, 1, 2, 0, 1]), CODE),
}


@pytest.mark.parametrize("name", GOALS)
def test_every_form_says_what_the_matrix_says(name):
    rows = GOALS[name].constraints(logits())
    A, change = rows.matrix(C), logits(1)
    torch.testing.assert_close(rows.times_change(change), (A @ change[:, :, None]).squeeze(2))
    torch.testing.assert_close(rows.times(change).matrix(C), A * change[:, None, :])
    order = torch.tensor([1, 0]).expand(N, -1)
    torch.testing.assert_close(rows.pick(order).matrix(C), A[:, [1, 0]])
    torch.testing.assert_close(rows.pick(order).offsets, rows.offsets[:, [1, 0]])
    index = torch.tensor([3, 1, 1])
    torch.testing.assert_close(rows[index].matrix(C), A[index])
    κ = torch.arange(float(N)).double()
    torch.testing.assert_close(rows.asking(κ).offsets, rows.offsets - κ[:, None])
    assert not A[~rows.exist].any()
    active = rows.exist & (rows.offsets < 0.2)
    assert torch.equal(rows.reads(active, C), ((A != 0) & active[:, :, None]).any(dim=1))


def test_labels_are_renumbered_among_those_read():
    rows = GOALS["class"].constraints(logits()).pick(torch.tensor([[1, 4]]).expand(N, -1))
    labels = rows.reads(rows.exist, C).to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :3]
    A = rows.matrix(C).gather(2, labels[:, None, :].expand(-1, 2, -1))
    torch.testing.assert_close(rows.among(labels, C).matrix(3), A)


def test_images_meet_by_how_many_rows_they_have():
    mask = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]]).bool()
    parts = [(images.tolist(), rows.tolist()) for images, rows in equally_many(mask, chunk=2)]
    assert parts == [([0, 2], [[0, 2], [1, 2]]), ([4], [[0, 1]]), ([3], [[0, 1, 2]])]


def test_a_row_with_an_infinite_offset_does_not_exist():
    rows = Constraints.one_label_each(torch.ones(1, 3), torch.tensor([[0.0, INF, -1.0]]))
    assert rows.exist.tolist() == [[True, False, True]]
