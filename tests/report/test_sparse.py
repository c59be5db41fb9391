import torch

from companion.report.sparse import MARK, highlight, outlined, signed


def test_no_change_is_grey_and_the_largest_is_black_or_white():
    r = torch.tensor([[[0.0, 0.2], [-0.4, 0.1]]])
    assert signed(r).flatten().tolist() == torch.tensor([0.5, 0.75, 0.0, 0.625]).tolist()
    assert signed(r, 0.8).min() == 0.25
    assert torch.equal(signed(torch.zeros(1, 2, 2)), torch.full((1, 2, 2), 0.5))


def test_marked_pixels_have_one_colour_and_the_rest_is_pale_grey():
    where = torch.tensor([[True, False], [False, False]])
    drawn = highlight(torch.rand(3, 2, 2), where)
    torch.testing.assert_close(drawn[:, 0, 0], torch.tensor(MARK))
    others = drawn[:, ~where]
    assert torch.equal(others[0], others[1])
    assert others.min() >= 0.45


def test_borders_run_between_groups():
    groups = torch.tensor([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    drawn = outlined(torch.zeros(3, 3, 3), groups)[0]
    assert drawn.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 1]]
