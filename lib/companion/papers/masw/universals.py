"""MASW's experiments with one perturbation for all images (Tables II, VII and S.XII, Figures 7, 11 and S.2).

What is learnt is kept in the store and found again by content, so that tables and figures learn it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from companion import datasets
from companion.papers.masw import experiments as paper
from companion.papers.masw import tables
from companion.papers.masw.claims import CLOSE, NAMES, RATIO, gap
from companion.papers.masw.claims import FEW as FEW_IMAGES
from companion.papers.masw.claims import FEWEST as FEWEST_IMAGES
from companion.report import Table, beside
from companion.report.claims import Claims, is_above
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
    single : paper.Setup
        The setting with its test images.
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
    """Load a setting's victim and draw both sets of images."""
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
    setup : Setup
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
    setup : Setup
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


MARGIN = 2.0  # percentage points
ORDER = 5.0  # percentage points that another order of the training images may change
FEWEST = 4  # cells
FEW = f"fewer than {FEWEST} cells of data set and k"
_CELL = ["dataset", "k"]


def ahead(
    claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str = ""
) -> None:
    """One method has clearly more of a measure (percent) than another.

    Parameters
    ----------
    claims : Claims
    lines : DataFrame
        From `universals.summarise`.
    mine, theirs, measure : str
    place, text : str
        Where the paper says so, and what, if it is not that one is higher.
    """
    gaps = differences(lines, mine, theirs, measure)
    text = text or f"{mine} has a higher {NAMES.get(measure, measure)} than {theirs}"
    claims.check(text, place, _points(gaps), *_judged(gaps))


def best(claims: Claims, lines: pd.DataFrame, mine: str, measure: str, place: str) -> None:
    """One method has clearly more of a measure than every other; shown is the rival of the smallest lead."""
    gaps = {name: differences(lines, mine, name, measure) for name in lines["method"].unique() if name != mine}
    _against_all(claims, f"{mine} has the highest {NAMES.get(measure, measure)} of all", place, gaps, 1)


def lowest(claims: Claims, lines: pd.DataFrame, mine: str, measure: str, place: str) -> None:
    """One method has clearly less of a measure than every other."""
    gaps = {name: differences(lines, name, mine, measure) for name in lines["method"].unique() if name != mine}
    text = f"{mine} has the lowest {NAMES.get(measure, measure)} of all"
    _against_all(claims, text, place, gaps, -1)


def _against_all(claims: Claims, text: str, place: str, gaps: dict[str, pd.Series], sign: int) -> None:
    """Differences to every rival that should be positive; shown, times the sign, is the smallest."""
    gaps = {name: of for name, of in gaps.items() if len(of)}
    name = min(gaps, key=lambda rival: gaps[rival].mean())
    verdicts = [_judged(of) for of in gaps.values()]
    lost = any(holds is False for holds, _ in verdicts)
    holds, reason = (False, "") if lost else next((v for v in verdicts if v[0] is None), (True, ""))
    claims.check(text, place, f"to {name} {_points(sign * gaps[name])}", holds, reason)


def not_larger(
    claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str
) -> None:
    """Of something that is no percentage (pert, passes) one method has at most as much as another.

    It does not hold where it has more by `RATIO` and the error on top.
    """
    of, error, cells = ratio(lines, mine, theirs, measure)
    verdict = True if of <= 1 else False if np.log(of) > np.log(1 + RATIO) + error else None
    reason = FEW if cells < FEWEST else CLOSE if verdict is None else ""
    claims.check(text, place, _times(of, error), None if reason else verdict, reason)


def larger(claims: Claims, lines: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str) -> None:
    """Of something that is no percentage (pert, passes) one method has clearly more than another."""
    of, error, cells = ratio(lines, mine, theirs, measure)
    verdict = None if abs(np.log(of)) <= max(np.log(1 + RATIO), error) else bool(of > 1)
    reason = FEW if cells < FEWEST else CLOSE if verdict is None else ""
    claims.check(text, place, _times(of, error), None if reason else verdict, reason)


def with_k(
    claims: Claims, lines: pd.DataFrame, methods: Sequence[str], ks: tuple[int, int], measure: str, place: str,
    rises: bool, text: str,
) -> None:  # fmt: skip
    """From the first to the second k a measure clearly rises (or falls), over the methods' data sets."""
    own = lines[lines["method"].isin(methods)]
    wide = own.pivot(index=["dataset", "method"], columns="k", values=measure)
    gaps = wide[ks[1]] - wide[ks[0]]
    claims.check(text, place, _points(gaps), *_judged(gaps if rises else -gaps))


def wider(
    claims: Claims, here: pd.DataFrame, there: pd.DataFrame, mine: str, theirs: str, measure: str, place: str
) -> None:
    """The lead over another method is larger on the large data sets (here) than on the small ones, errors included."""
    first, second = (differences(lines, mine, theirs, measure) for lines in (here, there))
    error = _error(first) + _error(second)
    wider = first.mean() - second.mean()
    text = f"{mine}'s lead over {theirs} in {NAMES[measure]} is larger on the large sets than on the small ones"
    figures = f"{_points(first)} against {_points(second)}"
    enough = min(len(first), len(second)) >= FEWEST
    close = abs(wider) <= max(MARGIN, error)
    reason = FEW if not enough else CLOSE if close else ""
    claims.check(text, place, figures, None if reason else wider > 0, reason)


def clearer(
    claims: Claims, rows: pd.DataFrame, mine: str, theirs: str, measure: str, place: str, text: str
) -> None:  # fmt: skip
    """Of a probability one method's perturbation gives more than another's, image by image, by `MARGIN` points."""
    difference, error, images = gap(rows, mine, theirs, measure)
    verdict = is_above(difference, error, MARGIN)
    reason = FEW_IMAGES if images < FEWEST_IMAGES else CLOSE if verdict is None else ""
    claims.check(text, place, f"{difference:+.1f} ± {error:.1f} points", None if reason else verdict, reason)


def differences(lines: pd.DataFrame, mine: str, theirs: str, measure: str) -> pd.Series:
    """How much more of a measure one method has, for every data set and k that has both."""
    wide = lines[lines["method"].isin([mine, theirs])].pivot(index=_CELL, columns="method", values=measure)
    return wide.reindex(columns=[mine, theirs]).diff(axis=1, periods=-1)[mine].dropna()


def ratio(lines: pd.DataFrame, mine: str, theirs: str, measure: str) -> tuple[float, float, int]:
    """Geometric mean of a measure's ratio, the error of its logarithm, and the cells."""
    logs = differences(lines.assign(**{measure: np.log(lines[measure])}), mine, theirs, measure)
    return float(np.exp(logs.mean())), _error(logs), len(logs)


def _error(values: pd.Series) -> float:
    return float(2 * values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def _judged(gaps: pd.Series) -> tuple[bool | None, str]:
    """Verdict and reason for differences that should be positive."""
    if len(gaps) < FEWEST:
        return None, FEW
    verdict = is_above(gaps.mean(), _error(gaps), MARGIN)
    return verdict, CLOSE if verdict is None else ""


def _points(gaps: pd.Series) -> str:
    return f"{gaps.mean():+.1f} ± {_error(gaps):.1f} points"


def _times(of: float, error: float) -> str:
    return f"{of:.2f} times ({of * np.exp(-error):.2f} to {of * np.exp(error):.2f})"


def gains(claims: Claims, table: pd.DataFrame, start: int, end: int, text: str, place: str) -> None:
    """From one E to another the ASR rises by more than `ORDER` points, and under every order of the images.

    Parameters
    ----------
    claims : Claims
    table : DataFrame
        From `patience.patience`.
    start, end : int
        Values of E.
    text, place : str
    """
    wide = table.pivot(index="seed", columns="E", values="asr")
    steps = wide[end] - wide[start]
    figures = " and ".join(f"{step:+.0f}" for step in steps) + " points"
    sure = abs(steps.mean()) > ORDER and ((steps > 0).all() or (steps < 0).all())
    claims.check(text, place, figures, bool(steps.mean() > 0) if sure else None, "" if sure else CLOSE)


def highest_at(claims: Claims, table: pd.DataFrame, E: int, text: str, place: str) -> None:
    """One E has the highest mean ASR, by more than `ORDER` points."""
    means = table.groupby("E")["asr"].mean()
    lead = means[E] - means.drop(E).max()
    figures = ", ".join(f"{at}: {value:.0f}" for at, value in means.items())
    close = abs(lead) <= ORDER
    claims.check(text, place, figures, None if close else lead > 0, CLOSE if close else "")
