"""Figure 1: the regions, the points that the paper describes, and what both kinds of measures say of them."""

import pytest
import torch

from companion.papers.masw import figure_01
from companion.papers.masw.figure_01 import label_planes


@pytest.fixture(scope="module")
def fitted():
    return [figure_01.fit(setting) for setting in figure_01.PANELS]


def test_the_regions_of_the_video():
    points = torch.tensor([[-0.95, 0.9], [-0.6, 0.5], [0.0, 0.5], [0.5, 0.5], [0.95, 0.1], [0.0, 0.98], [0.3, 0.2]])
    assert figure_01.region(points).tolist() == [0, 1, 2, 3, 4, 2, 2]
    assert figure_01.region(figure_01.grid()).unique().tolist() == [0, 1, 2, 3, 4]


def test_the_points_show_what_the_paper_says(fitted):
    a, b, c = fitted
    assert [a.seen(i) for i in range(3)] == [[2, 3, 4], [1, 2, 3], [4, 5, 6]]
    assert [b.seen(i) for i in range(3)] == [[1, 4, 5], [1, 2], [1, 3, 5]]
    assert [c.seen(i) for i in range(3)] == [[4, 5, 6, 7], [1, 2, 8], [2, 4, 8]]
    assert c.setting.labels == [1, 2, 4, 5, 6, 7, 8]
    for one in fitted:
        assert one.points[0].tolist() == list(figure_01.START)
        assert figure_01.region(one.points).tolist() == [2, 1, 3]
        near, far = (one.points[1:] - one.points[0]).norm(dim=1)
        assert far >= figure_01.FARTHER * near - 1e-6


def test_the_coarse_measures_are_equal_and_the_new_ones_are_not(fitted):
    a, b, c = (one.measures() for one in fitted)
    assert (a[0], b[0], c[0]) == ([0, 0], [1, 1], [1, 1])
    assert a[1] == pytest.approx([2 / 3, 1 / 3])
    assert b[1] == pytest.approx([1 / 3, 2 / 3])
    assert c[1] == pytest.approx([1, 1 / 3])


def test_an_untrained_network_is_refused():
    with pytest.raises(ValueError, match=r"top-3 untargeted: no point shows \(1, 2, 3\)"):
        figure_01.fit(figure_01.PANELS[0], epochs=0)


def test_the_figure_has_a_plane_and_a_table_for_each(fitted):
    figure = label_planes(fitted, ["first", "second", "third"])
    texts = [axis.get_title() for axis in figure.axes[:3]]
    assert texts == ["(a) first", "(b) second", "(c) third"]
    words = [cell.get_text().get_text() for cell in figure.axes[3].tables[0].get_celld().values()]
    assert "2/3" in words
    assert "=" in words
