import math

import pandas as pd
import pytest

from flipbook.metrics.aggregate import common_successes, summarise


@pytest.fixture
def rows():
    """Two attacks on three images with 4 labels, 2 of which are to flip: A wins twice, B once."""
    columns = ["method", "parameters", "image", "reached", "distance", "mse", "iterations", "seconds", "first_success"]
    table = pd.DataFrame(
        [
            ("A", "1", 7, True, 0, 1e-4, 6, 1.0, 10),
            ("A", "1", 8, True, 0, 1e-2, 8, 3.0, 20),
            ("A", "1", 9, False, 1, 9.0, 99, 8.0, -1),
            ("B", "1", 7, False, 3, 9.0, 99, 8.0, -1),
            ("B", "1", 8, True, 0, 4e-2, 50, 5.0, 40),
            ("B", "1", 9, False, 2, 9.0, 99, 8.0, -1),
        ],
        columns=columns,
    )
    psnr = table["mse"].map(lambda value: -10 * math.log10(value))
    same = {"distance_before": 2, "reached_8bit": False, "reached_logits": True, "ssim": 0.9, "l2": 1.0, "linf": 0.1}
    return table.assign(psnr=psnr, forwards=30, backwards=12, **same)


def test_means_over_all_and_over_successes(rows):
    table = summarise(rows, labels=4).set_index("method")
    assert table.index.tolist() == ["A", "B"]
    a = table.loc["A"]
    assert (a["images"], a["successes"]) == (3, 2)
    assert a["asr"] == pytest.approx(2 / 3)
    assert a["basr"] == pytest.approx((1 + 1 + 0.75) / 3)
    assert a["do_nothing_basr"] == 0.5
    assert a["mse"] == pytest.approx(5.05e-3)
    assert a["mse_of_psnr"] == pytest.approx(1e-3)
    assert a["mean_iterations"] == 7
    assert a["first_success"] == 15
    assert a["time_s"] == 2
    assert (a["seconds"], a["seconds_median"], a["passes"]) == (4, 3, 42)
    assert table.loc["B", "basr"] == pytest.approx((0.25 + 1 + 0.5) / 3)


def test_an_attack_without_success_has_no_mean_over_successes(rows):
    line = summarise(rows[(rows["method"] == "B") & (rows["image"] != 8)]).iloc[0]
    assert line["asr"] == 0
    assert all(math.isnan(line[name]) for name in ("mse", "ssim", "mean_iterations", "time_s", "mse_of_psnr"))
    assert "basr" not in line  # no label count was given


def test_common_successes_are_the_images_that_all_reached(rows):
    assert common_successes(rows)["image"].tolist() == [8, 8]
    assert common_successes(rows[rows["method"] == "A"])["image"].tolist() == [7, 8]


def test_nothing_to_summarise_and_an_unknown_column_are_said(rows):
    with pytest.raises(ValueError, match="rows: none"):
        summarise(rows[:0])
    with pytest.raises(ValueError, match="by: no column 'epsilon'"):
        summarise(rows, by=["epsilon"])
