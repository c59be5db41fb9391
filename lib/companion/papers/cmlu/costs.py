"""What the methods of the CMLU paper cost, in passes through the victim and in seconds."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from companion.papers.cmlu.experiments import METHODS, PER_SET, Setup, learn, passes
from flipbook import universal
from flipbook.universal import Pool


def growth(setup: Setup, images: int = 2) -> pd.DataFrame:
    """Count the passes of one epoch with ever more labels: of CMLU_beta, and of the Oracle for every set of them.

    Parameters
    ----------
    scene : Scene
    images : int
        An epoch's images for each vector; few of them will do, the passes are in proportion.

    Returns
    -------
    DataFrame
        One row a method and number of labels: method, labels, vectors (labels, or target sets that a training image
        contains) and passes (forward and backward, counted, for each image of the epoch).
    """
    training, lines = replace(setup.training, epochs=1, images=images, batch=images, progress=False), []
    for count in range(1, len(setup.labels) + 1):
        labels = setup.labels[:count]
        for method, learner, what in (
            ("CMLU_beta", universal.cmlu_beta, labels),
            ("Oracle", universal.oracle, list(_together(setup.train, labels))),
        ):
            made = passes(learner(setup.train, what, training)) / images
            lines.append({"method": method, "labels": count, "vectors": len(what), "passes": made})
    return pd.DataFrame(lines)


def cumulated(rows: pd.DataFrame) -> pd.DataFrame:
    """What it costs to serve more and more target sets: columns method, sets, passes, sizes added one by one.

    Sets trained one by one add up their passes; the other methods pay once.
    """
    lines = []
    for method, part in rows.groupby("method", sort=False):
        by_size = part.groupby("size").agg(sets=("omega", "size"), passes=("passes", "first"))
        served = by_size["sets"].cumsum()
        if method == "Or-C":  # its basis is trained once, and is all that single labels need
            basis = by_size["passes"].iloc[0]
            total = basis + (by_size["passes"] - basis).cumsum()
        else:
            total = by_size["passes"].cumsum() if method in PER_SET else by_size["passes"]
        lines.append(pd.DataFrame({"method": method, "sets": served, "passes": total}))
    return pd.concat(lines, ignore_index=True)


def seconds(setup: Setup, methods: Sequence[str] = METHODS, **changes) -> float:
    """How long the training of these methods took, when it was done."""
    total = {}
    for method in methods:
        for of in setup.omegas if method in PER_SET else (1,):
            trained = "Oracle" if method == "Or-S" else method
            total[trained, of] = learn(setup, method, of, **changes).record["seconds"]
    return sum(total.values())


def _together(pool: Pool, labels: Sequence[int]) -> dict[tuple[int, ...], None]:
    """Every target set of these labels that an image contains, the smallest first."""
    seen = {tuple(sorted(set(labels) & set(row.nonzero().flatten().tolist()))) for row in pool.present}
    sets = {omega for found in seen for of in range(1, len(found) + 1) for omega in combinations(found, of)}
    return dict.fromkeys(sorted(sets, key=lambda omega: (len(omega), omega)))
