"""MASW's experiments with one perturbation for all images (Tables II, VII and S.XII, Figures 7, 11 and S.2).

What is learnt is kept in the store and found again by content, so that tables and figures learn it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import pandas as pd
import torch

from companion import datasets
from companion.papers.masw import experiments as paper
from companion.papers.masw import tables
from companion.report import Table, beside
from companion.sampling import ranked_images
from companion.sampling.choice import Selection
from flipbook import universal
from flipbook.attacks.kfool import RELEASED
from flipbook.core.validation import check_choice
from flipbook.storage import fingerprint
from flipbook.storage.cached import cached
from flipbook.universal import TopKUniversal
from flipbook.universal.inner import inner_attack

KS = (2, 3, 5, 10)
METHODS = {  # as printed: the inner attack
    "PGD": "pgd",
    "kUV": "kfool",
    "TkML": "tkml",
    "TkALC": "tkalc",
    "TkMIA": "tkmia",
    "MADW": "madw",
    "MASW": "masw",
}
_HIDES = ("MASW", "MADW")
_FEW = {"MADW": 5}  # inner steps that cost many passes each
_MOST, _LEAST, _BACKWARDS = 30, 10, 90  # kUV's inner steps: k backward passes each
_MAIN = ("PGD", "kUV", "TkML", "MASW")  # printed for the large sets in the main paper
SAME, TIMES = "ASR at MASW's length", "of MASW's"
Cell = tuple[str, int]  # method and k


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes
    ----------
    training, test : int
        |X_t| and |X_v|, images with all true labels on top; the paper has 3000 and 1000.
    ks : tuple of int
        Values of k.
    passes : int
        Times that the training images are gone through, at most.
    batch : int
        Images attacked together. Their perturbations are averaged, and the mean of many is short: large mini-batches
        get nowhere in so few passes; 1 is the paper's.
    iterations : int
        T of the inner attacks.
    learning_rate : float
        Of the inner attacks that descend a gradient: four times the published step, for the few iterations.
    patience : int
        E, in evaluations, of which there are two a pass.
    """

    training: int = 100
    test: int = 100
    ks: tuple[int, ...] = KS
    passes: int = 2
    batch: int = 2
    iterations: int = 20
    learning_rate: float = 0.01
    patience: int = 4


def size(**asked) -> Size:
    """The laptop's size, with what is not 0 or empty in its place."""
    for name, value in asked.items():
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{name} is {value}: give a positive number, or 0 for the profile's own")
    return replace(Size(), **{name: value for name, value in asked.items() if value})


@dataclass(frozen=True, eq=False)
class Setup:
    """A victim with images to learn from and others to try it on.

    Attributes
    ----------
    single : paper.Scene
        The panel with its test images.
    training : Selection
        From the validation images, which no victim was trained on (the paper takes both from its validation set).
    radius : float
        τ of z. The published 50 (100 on [-1, 1]) at the same mean square on these images.
    """

    single: paper.Setup
    training: Selection
    size: Size
    radius: float

    @property
    def setting(self) -> paper.Setting:
        """Data set, model and victim."""
        return self.single.setting


def setup(setting: paper.Setting, size: Size, device: str = "cpu", seed: int = 0) -> Setup:
    """Load a panel's victim and draw both sets of images."""
    single = paper.setup(setting, paper.Size(size.test, size.iterations), device, seed)
    validation = datasets.load(setting.data, split="validation")
    training = ranked_images.select(single.model, validation, size.training, paper.LARGEST_K, seed).chosen
    return Setup(single, training, size, 50.0 * same_mean_square(single.images))


def same_mean_square(images: torch.Tensor) -> float:
    """By what a length on 300 x 300 images must be multiplied to have the same mean square on these."""
    return (images[0].numel() / (3 * 300 * 300)) ** 0.5


def learn(
    setup: Setup, method: str, k: int, inner: dict | None = None, progress: bool = True, **options
) -> TopKUniversal:
    """Learn one perturbation, or take what was learnt before from the store.

    Parameters
    ----------
    scene : Scene
    method : str
        As printed.
    k : int
    inner : dict, optional
        Options of the inner attack.
    progress : bool
        Whether to show a bar.
    options
        Of `universal.universal_top_k`, in place of what is set here. All methods have MASW's rule to stop: which one
        the paper's baselines had is not said.
    """
    check_choice("method", method, tuple(METHODS))
    size, model = setup.size, setup.single.model
    device = next(model.parameters()).device
    steps = kuv_steps(k) if method == "kUV" else _FEW.get(method, size.iterations)
    own = {"correlation": setup.single.correlation} if method == "TkALC" else {}
    if method in ("TkML", "TkALC", "TkMIA", "MASW"):
        own["learning_rate"] = size.learning_rate
    own |= RELEASED if method == "kUV" else {}
    attack = inner_attack(METHODS[method], steps, **own | (inner or {}))
    settings = {
        "radius": setup.radius,
        "hide": method in _HIDES,
        "from_clean": method == "kUV",  # as in its program
        "batch_size": size.batch,
        "max_passes": size.passes,
        "eval_every": max(1, size.training // size.batch // 2),
        "patience": size.patience,
        "seed": setup.single.seed,
    } | options
    images, present = setup.training.images, setup.training.targets.bool()
    code = fingerprint.of_function(universal.universal_top_k)
    key = fingerprint.digest(code, attack, settings, k, images, present, fingerprint.of_model(model), str(device.type))

    def search() -> TopKUniversal:
        images_, present_ = images.to(device), present.to(device)
        return universal.universal_top_k(model, images_, present_, k, attack, **settings, progress=progress)

    return cached(f"universal/top-k-{key[:20]}", load=universal.load, learn=search, save=universal.save)


def kuv_steps(k: int) -> int:
    """T of kUV's inner attack: as many as 90 backward passes allow, in 10..30; with fewer it hardly learns."""
    return min(_MOST, max(_LEAST, _BACKWARDS // k))


def cells(setting: paper.Setting, size: Size, methods: Sequence[str] = tuple(METHODS)) -> list[Cell]:
    """What a laptop has time for: MADW for k = 3 and 10, the supplement's methods on the large sets for k = 3 alone."""
    asked = dict.fromkeys(METHODS, size.ks) | {"MADW": (3, 10)}
    if setting.dataset in paper.LARGE:
        asked |= {name: (3,) for name in METHODS if name not in _MAIN}
    return [(name, k) for k in size.ks for name in methods if k in asked[name]]


def rows(setup: Setup, cells: Sequence[Cell], **options) -> pd.DataFrame:
    """What the perturbations do to the test images.

    Parameters
    ----------
    scene : Scene
    cells : sequence of (str, int)
        Methods, as printed, with k.
    options
        For `learn`.

    Returns
    -------
    DataFrame
        A row a method, k and test image: dataset, case (""), k, method, image, the columns of
        `universal.evaluate_top_k`, success, pert (of z, units of 1e-2), of the search seconds, passes (forward and
        backward, of its attacks) and stopped, and, where MASW's z for this k was asked for, `SAME`: whether the image
        is fooled by z drawn out or cut down to the length of MASW's.
    """
    parts = []
    for method, k in cells:
        learnt = learn(setup, method, k, **options)
        part = measured(setup, learnt).assign(method=method)
        if ("MASW", k) in cells:
            length = learn(setup, "MASW", k, **options).perturbation.norm()
            part[SAME] = measured(setup, of_length(learnt, float(length)))["asr"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def of_length(learnt: TopKUniversal, length: float) -> TopKUniversal:
    """The same perturbation, drawn out or cut down to an L2 norm."""
    z = learnt.perturbation
    return replace(learnt, perturbation=z * (length / z.norm()))


@lru_cache(maxsize=4)
def tested(single: paper.Setup) -> tuple[torch.Tensor, torch.Tensor]:
    """Test images and their labels, on the model's device."""
    device = next(single.model.parameters()).device
    return single.images.to(device), single.present.to(device)


def measured(setup: Setup, learnt: TopKUniversal) -> pd.DataFrame:
    """Rows of one perturbation, as `rows` but for the method."""
    table = universal.evaluate_top_k(learnt, setup.single.model, *tested(setup.single))
    record, (height, width) = learnt.record, learnt.perturbation.shape[2:]
    return table.assign(
        dataset=setup.setting.dataset,
        case="",
        k=learnt.k,
        image=setup.single.indices,
        success=table["asr"] > 0,
        pert=ranked_images.pert(table["norm"], height, width),
        seconds=record["seconds"],
        passes=_passes(record),
        stopped=record["stopped"],
    )


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a data set, k and method: measures in percent, pert (of z, units of 1e-2), cost of the search, images."""
    groups = rows.groupby(list(paper.BY), sort=False)
    shares = ["asr", "sasr", "lfr", "sac", "asr_clean", *({SAME} & set(rows))]
    lines = 100 * groups[shares].mean()
    first = groups[["pert", "passes", "seconds"]].first()
    return lines.assign(
        pert=first["pert"], passes=first["passes"], time_s=first["seconds"], images=groups.size()
    ).reset_index()


def costs(setup: Setup, cells: Sequence[Cell], **options) -> pd.DataFrame:
    """What the searches cost, a line each: dataset, case, k, method, time_s, passes, stopped and `TIMES`."""
    lines = []
    for method, k in cells:
        record = learn(setup, method, k, **options).record
        line = {"dataset": setup.setting.dataset, "case": "", "k": k, "method": method, "time_s": record["seconds"]}
        lines.append(line | {"passes": _passes(record), "stopped": record["stopped"]})
    return in_masws(pd.DataFrame(lines), "passes")


def _passes(record: dict) -> int:
    """Forward and backward passes of the attacks; evaluations cost all methods the same."""
    return record["forwards"] - record["evaluated"] + record["backwards"]


def in_masws(lines: pd.DataFrame, cost: str) -> pd.DataFrame:
    """Add `TIMES`, a cost divided by MASW's for the same data set and k."""
    own = lines[lines["method"] == "MASW"].set_index(["dataset", "k"])[cost]
    theirs = pd.Series([own.get((line.dataset, line.k)) for line in lines.itertuples()], lines.index, dtype=float)
    return lines.assign(**{TIMES: lines[cost].astype(float) / theirs})


def cost_table(ours: pd.DataFrame, caption: str = "") -> Table:
    """Table S.XII: hours as printed, what they are in those of MASW, and the same for our passes (`costs`)."""
    printed = tables.printed("table-s12")
    printed = in_masws(printed.assign(k=printed["k"].astype(int)), "time_h")
    printed = printed[printed["k"].isin(ours["k"]) & printed["dataset"].isin(ours["dataset"])]
    printed[TIMES] = [f"{value:.2f}" for value in printed[TIMES]]
    return beside(
        ours, printed.drop(columns="case"), on=["dataset", "k", "method"], columns=("time_h", TIMES),
        extra=("passes", "time_s"), not_run="not run here", caption=caption,
    )  # fmt: skip


def reduced(size: Size) -> str:
    """What is smaller than in the paper."""
    return (
        f"{size.training} of 3000 training images, {size.test} of 1000 test images, at most {size.passes} passes over "
        f"the training images, inner T = {size.iterations} (kUV {_LEAST} to {_MOST}, MADW {_FEW['MADW']}), patience "
        f"{size.patience} of 40"
    )
