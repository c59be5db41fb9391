"""How long the steps of MASW and TkML are beside their ball, and what shorter ones change (Tables V and VIII).

MASW's weights of m violated constraints sum to m, whatever is left of each. Where labels are many and targets far,
nearly all of that falls on the one constraint that is nearly met, and the step takes the image across the ball.
"""

from collections.abc import Sequence

import pandas as pd

from companion.papers.masw import experiments as paper
from flipbook import evaluation

_EQUAL = {"weights": "none"}
VARIANTS = {  # shown: method, options, part of the panel's learning rate
    "TkML": ("TkML", {}, 1.0),
    "MASW": ("MASW", {}, 1.0),
    "MASW, step / 2": ("MASW", {}, 0.5),
    "MASW, step / 4": ("MASW", {}, 0.25),
    "MASW, w = 1": ("MASW", _EQUAL, 1.0),
    "MASW, w = 1, step / 2": ("MASW", _EQUAL, 0.5),
}


def rows(setups: Sequence[paper.Setup], block: paper.Block, **options) -> pd.DataFrame:
    """Rows of `paper.run` for all variants, with `step`: the median length of a step as a share of τ."""
    parts = []
    for setup in setups:
        radius, rate = setup.setting.targeted if block[0] else setup.setting.untargeted, setup.setting.learning_rate
        configs = [
            paper.config(setup, name, block, shown=shown, learning_rate=part * rate, trace=("step",), **of)
            for shown, (name, of, part) in VARIANTS.items()
        ]
        found = paper.run(setup, {block: configs}, **options)
        lengths = [path.nanmedian().item() for path in evaluation.traces(found, "step")]
        parts.append(found.assign(step=[length / radius for length in lengths]))
    return pd.concat(parts, ignore_index=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a data set and variant: the measures in percent, and the median over images of the share of τ."""
    lines = paper.summarise(rows)[["dataset", "method", "asr", "sasr", "lfr"]]
    steps = rows.groupby(["dataset", "method"], sort=False)["step"].median().rename("step / τ")
    return lines.merge(steps.reset_index(), on=["dataset", "method"])
