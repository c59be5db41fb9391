"""How the tables and captions of the CMLU paper's notebooks say things, and what they average."""

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd
import seaborn as sns

from companion import datasets, victims
from companion.papers.cmlu.experiments import (
    LEARNERS,
    METHODS,
    PER_SET,
    SUMS,
    Setting,
    Setup,
    Size,
    laptop_options,
    learn,
    passes,
)
from flipbook import universal
from flipbook.universal import Pool


def means(rows: pd.DataFrame, by: Sequence[str] = ("dataset", "model", "method")) -> pd.DataFrame:
    """Means over the target sets of each size, in the order of the rows.

    Returns
    -------
    DataFrame
        The columns `by`, size, fr and ntr (percent, unweighted means over sets; ntr over those with a success), fr_std
        and ntr_std (sample deviation over sets), sets, images, passes and per_image.
    """
    lines = []
    for names, part in rows.groupby(list(by), sort=False):
        table = universal.summarise(part).reset_index()
        cost = part.groupby("size")[["passes", "per_image"]].first().reset_index()
        table = table.merge(cost, on="size").rename(
            columns={"FR": "fr", "NT_R": "ntr", "FR_std": "fr_std", "NT_R_std": "ntr_std"}
        )
        lines.append(table.assign(**dict(zip(by, names, strict=True))))
    columns = [*by, "size", "fr", "fr_std", "ntr", "ntr_std", "sets", "images", "passes", "per_image"]
    return pd.concat(lines, ignore_index=True)[columns]


def leads(means: pd.DataFrame) -> pd.DataFrame:
    """How far CMLU_beta's FR is ahead of plain sums, in points: all of them scaled into the ball, and all of them cut.

    Parameters
    ----------
    means : DataFrame
        With methods of `experiments.clipped` among them.
    """
    fr = means[means["size"] > 1].pivot(index=["dataset", "model", "size"], columns="method", values="fr")
    return pd.DataFrame(
        {
            f"over {other}, {how}": fr["CMLU_beta" + end] - fr[other + end]
            for other in SUMS[:2]
            for how, end in (("scaled", ""), ("cut", ", clip"))
        }
    )


def occurrences(pool: Pool, sizes: Sequence[int], labels: Sequence[int]) -> pd.DataFrame:
    """How many images can carry target sets of these sizes and labels.

    Returns
    -------
    DataFrame
        One row a size: size, images (that are predicted to contain so many of the labels or more) and most (the images
        of the target set of this size that has most).
    """
    chosen, lines = list(labels), []
    counts = pool.present[:, chosen].sum(dim=1)
    for of in sizes:
        enough = [tuple(row.nonzero().flatten().tolist()) for row in pool.present[counts >= of][:, chosen]]
        sets = Counter(omega for held in enough for omega in combinations(held, of))
        lines.append({"size": of, "images": len(enough), "most": max(sets.values(), default=0)})
    return pd.DataFrame(lines)


def supply(setup: Setup, sizes: Sequence[int]) -> pd.DataFrame:
    """Why there are sets of a size or not: how many images carry them, and how many sets have enough.

    Returns
    -------
    DataFrame
        One column a size, one row a number, under the victim's name.
    """
    test, train = (occurrences(pool, sizes, setup.labels).set_index("size") for pool in (setup.test, setup.train))
    enough = [
        len(universal.choose_sets(setup.train, setup.test, setup.labels, of, 10**6, **setup.size.least)) for of in sizes
    ]
    rows = {
        "test images": test["images"],
        "test images of one set, at most": test["most"],
        "training images of one set, at most": train["most"],
        "sets with enough of both": pd.Series(enough, index=test.index),
    }
    return pd.concat({setup.setting.victim: pd.DataFrame(rows).T})


def tabular(frame: pd.DataFrame) -> pd.DataFrame:
    """Means or printed numbers with the columns named as tables show them, |Ω| as text."""
    frame = frame.rename(columns=_HEADINGS)
    return frame.assign(**{"|Ω|": frame["|Ω|"].astype(str)})


_HEADINGS = {
    "size": "|Ω|",
    "target_set_size": "|Ω|",
    "fr": "FR",
    "fr_std": "± FR",
    "ntr_std": "± NT_R",
    "ntr": "NT_R",
    "space_complexity": "space",
    "time_complexity": "time",
    "per_image": "passes a vector and image",
}


def in_order(printed: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Printed rows, by these columns in the order of their first rows and then |Ω|, methods together."""
    keys = [printed[name].map({value: i for i, value in enumerate(printed[name].unique())}) for name in by]
    keys.append(printed["target_set_size"].astype(int))
    order = pd.concat(keys, axis=1, keys=range(len(keys))).sort_values(list(range(len(keys))), kind="stable").index
    return printed.loc[order].reset_index(drop=True)


def describe(setting: Setting) -> str:
    """A setting's victim with what it stands in for and its quality, as captions say it."""
    about = victims.describe(setting.victim)
    return f"{setting.victim} ({about.stands_for}; {about.metric} {about.quality:.3f}; ε = {setting.epsilon:g})"


def captions(setups: Sequence[Setup]) -> str:
    """The data sets of some setups."""
    found = {setup.setting.data: datasets.load(setup.setting.data, "test").caption for setup in setups}
    return "; ".join(found.values())


def reduced(setups: Sequence[Setup], methods: Sequence[str] = METHODS) -> str:
    """What is smaller than in the paper, or otherwise than there, for the methods that are run."""
    labels, training, ε, κ = ({} for _ in range(4))
    for setup in setups:
        labels.setdefault(len(setup.labels), []).append(setup.setting.dataset)
        training.setdefault(setup.size.training, []).append(setup.setting.dataset)
        ε.setdefault(setup.setting.epsilon, []).append(setup.setting.dataset)
        κ.setdefault(setup.setting.kappa, []).append(setup.setting.dataset)
    size = setups[0].size
    parts = [
        f"{_by_data(labels)} labels that may be attacked (paper: 25, 40 and 100)",
        f"{size.sets} target sets a size at most, {size.attacked} images of each",
        f"{size.epochs} epochs of {size.images} images a vector in batches of {size.batch}, "
        f"from {_by_data(training)} images",
        f"ε = {_by_data(ε)} (paper: 0.05)",
        "steps of ξ = ε / 5 (paper: ε / 25)",
    ]
    parts += [f"κ = {_by_data(κ)} (paper: 20)"] if set(κ) != {20} else []
    parts += [f"{shown(method)} with {_options(method, size)}" for method in methods if laptop_options(method, size)]
    return ", ".join(parts)


def _by_data(values: dict[float, list[str]]) -> str:
    """One value, or each with the data sets that have it: "8 (NUS-WIDE) or 12 (MS-COCO)"."""
    if len(values) == 1:
        return f"{next(iter(values)):g}"
    return " or ".join(f"{value:g} ({', '.join(dict.fromkeys(data))})" for value, data in values.items())


def _options(method: str, size: Size) -> str:
    """Laptop options with the defaults of the method's function: "inner_passes = 2 (default 4)"."""
    defaults = inspect.signature(LEARNERS[method]).parameters
    own = {name: value for name, value in laptop_options(method, size).items() if value != defaults[name].default}
    return " and ".join(f"{name} = {value} (default {defaults[name].default})" for name, value in own.items())


def colours() -> dict[str, tuple]:
    """One colour for each method, the same in every figure of this paper; CMLU-β is black."""
    palette = sns.color_palette("colorblind", len(METHODS))
    return dict(zip(METHODS, palette, strict=True)) | {"CMLU_beta": (0.0, 0.0, 0.0)}


def shown(method: str) -> str:
    """A method's name for figures: "CMLU-β" for "CMLU_beta"."""
    return method.replace("_alpha", "-α").replace("_beta", "-β")


def growth(setup: Setup, images: int = 2) -> pd.DataFrame:
    """Count the passes of one epoch with ever more labels: of CMLU_beta, and of the Oracle for every set of them.

    Parameters
    ----------
    setup : Setup
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
