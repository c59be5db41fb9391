"""Which attacked images the MASW paper's figures show, and their texts."""

import pandas as pd
import pytest

from companion.papers.masw import experiments as paper
from companion.papers.masw import figure_06
from flipbook.storage import places


@pytest.fixture(scope="module")
def setup():
    (setting,) = paper.settings(["VOC 2012"])
    return paper.setup(setting, paper.size(setting, images=14, iterations=3))


def outcome(setup, of, succeeds):
    """Rows of a figure in which `succeeds(block, method, place)` says who does."""
    return pd.DataFrame(
        [
            {"case": block[0], "k": block[1], "method": name, "success": succeeds(block, name, place)}
            for block in of.blocks
            for name in of.methods
            for place in range(len(setup.indices))
        ]
    )


def test_the_first_image_with_two_labels_that_fits_is_shown(setup):
    of, several = figure_06.FIGURES["figure-06"], (setup.present.sum(dim=1) > 1).nonzero().flatten().tolist()
    assert len(several) > 1
    assert figure_06.chosen(setup, outcome(setup, of, lambda *_: True), of) == ([several[0]], [0])
    rows = outcome(setup, of, lambda block, name, place: (name, place) != ("TkML", several[0]))
    assert figure_06.chosen(setup, rows, of) == ([several[1]], [0])


def test_s3_seeks_failures_with_k_10_and_says_how_near_it_came(setup):
    of = figure_06.FIGURES["figure-s03"]
    exact = outcome(setup, of, lambda block, name, place: place != 4 or block[1] < 10 or name == "MASW")
    assert figure_06.chosen(setup, exact, of) == ([4], [0])
    none = outcome(setup, of, lambda block, name, place: place != 3 or name != "TkML" or block[1] < 10)
    assert figure_06.chosen(setup, none, of) == ([3], [1])
    assert figure_06.claims("figure-s03", _measured(none, setup), 1).as_records()[0]["holds"] is False


def _measured(rows, setup):
    images = list(range(len(setup.indices))) * (len(rows) // len(setup.indices))
    return rows.assign(dataset="VOC 2012", image=images, top=0.5, own=0.1)


def test_words_mark_own_labels_and_targets(setup):
    place = 0
    aim = setup.targets("best", 3)[place]
    lines = figure_06.words(setup, place, setup.images[place], 3, aim).split("\n")
    own = int(setup.present[place].sum())
    assert [line[0] for line in lines] == [figure_06.OWN] * own + [figure_06.AIM] * (3 - own)
    blank = figure_06.words(setup, place, setup.images[place] * 0, 3, aim).split("\n")
    assert len(blank) in (3, 3 + 1 + own)  # own labels that fell out stand below


def test_confidences_and_strips_come_from_the_attacked_images(setup, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)
    of = figure_06.FIGURES["figure-06"]
    rows = figure_06.run(setup, of, progress=False)
    assert rows[["top", "own"]].stack().between(0, 1).all()
    assert len(figure_06.summary(rows)) == 4
    lines, factor = figure_06.strips(setup, rows, of, [2])
    assert [label for label, _ in lines] == ["untargeted, k = 3", "best case, k = 3"]
    assert list(lines[0][1]) == ["clean", "TkML", f"TkML: z × {factor:g}", "MASW", f"MASW: z × {factor:g}"]
    picture = lines[0][1][f"MASW: z × {factor:g}"][0]
    assert picture.shape == setup.images[2].shape
    assert ((picture >= 0) & (picture <= 1)).all()
