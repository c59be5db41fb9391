"""The experiments of the CMLU paper (Mahmood, Elhamifar; CVPR 2025), section 5.

A `Scene` is one column group of its tables: a victim, training and test images, the labels that may be attacked and the
target sets, the same for every method. What is learnt on it is kept in the store and found again by content, so that
the tables and figures that need the same vectors train them once.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import combinations

import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor

from flipbook import datasets, fingerprint, paths, universal, victims
from flipbook.kept import kept
from flipbook.metrics import ssim
from flipbook.store import Store
from flipbook.universal import Pool, Training, projections
from flipbook.universal.pool import named
from flipbook.victims.loading import labels as label_names

METHODS = ("Oracle", "Or-S", "Or-C", "SGA", "NAG", "CMLU_alpha", "CMLU_beta")  # as printed
PER_SET = ("Oracle", "Or-C")  # trained for every target set; the others serve all sets at once


@dataclass(frozen=True)
class Panel:
    """One data set and one model of the paper, and the victim in their place.

    Attributes
    ----------
    dataset, model : str
        As printed, e.g. "NUS-WIDE" and "ASL".
    victim : str
        Name for `victims.load`.
    epsilon : float
        ε. The paper's 0.05 is for images of 448 x 448 pixels; victims that were trained on recoloured images need 0.1.
    """

    dataset: str
    model: str
    victim: str
    epsilon: float = 0.1

    @property
    def data(self) -> str:
        """Name for `datasets.load`."""
        return self.victim.rpartition("-")[0]

    @property
    def name(self) -> str:
        """Data set and model for captions."""
        return f"{self.dataset}, {self.model}"


_NUS = [Panel("NUS-WIDE", "ASL", "pictograms81-asl"), Panel("NUS-WIDE", "ML-Decoder", "pictograms81-decoder")]
_COCO = [Panel("MS-COCO", "ASL", "pictograms20-asl"), Panel("MS-COCO", "ML-Decoder", "pictograms20-decoder")]
_EASY = Panel("VOC 2012", "ResNet", "pictograms20-resnet", 0.05)  # ours: the one victim that the published ε suits
_OPEN = Panel("OpenImages", "ASL", "pictograms268-asl")
_PANELS = {
    "table-01": [*_NUS, *_COCO],
    "table-02": [_OPEN],
    "table-03": [_NUS[0]],
    "table-04": [*_NUS, *_COCO],
    "figure-01": [_EASY],
    "figure-02": [_EASY],
    "figure-03": [*_NUS, *_COCO],
    "figure-04": [_NUS[0]],
    "figure-05": [_NUS[0], _COCO[0], _EASY],
}


def panels(artefact: str, profile: str = "laptop") -> list[Panel]:
    """The panels of a table or figure.

    Raises
    ------
    ValueError
        For an artefact that is not of this paper, and for the paper profile: its data and models are not there yet.
    """
    if artefact not in _PANELS:
        near = difflib.get_close_matches(str(artefact), _PANELS, 1, 0)[0]
        raise ValueError(f"artefact is {artefact!r}: did you mean {near!r}? The CMLU paper has {', '.join(_PANELS)}")
    if profile == "paper":
        raise ValueError(
            f"{artefact} has no paper profile yet: there are no loaders of NUS-WIDE, MS-COCO and OpenImages with the "
            "paper's models; run it with profile 'laptop'"
        )
    if profile != "laptop":
        raise ValueError(f"profile is {profile!r}: choose 'laptop' or 'paper'")
    return _PANELS[artefact]


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes
    ----------
    labels : int
        |C'|, labels that may be attacked; the paper has 25, 40 and 100.
    sets : int
        Target sets of each size at most.
    images, epochs, batch : int
        Budget of every vector; see `Training`.
    training, test : int
        Images that are drawn to train on and to attack.
    in_training, in_test : int
        Images that a target set must have.
    """

    labels: int = 8
    sets: int = 6
    images: int = 48
    epochs: int = 10
    batch: int = 16
    training: int = 5000
    test: int = 2000
    in_training: int = 20
    in_test: int = 8


def size(**asked: int) -> Size:
    """The laptop's size, with what is not 0 in its place."""
    for name, value in asked.items():
        if value < 0:
            raise ValueError(f"{name} is {value}: give a positive number, or 0 for the profile's own")
    return replace(Size(), **{name: value for name, value in asked.items() if value})


@dataclass(frozen=True, eq=False)
class Scene:
    """All that the methods of one panel share.

    Attributes
    ----------
    panel, size : Panel, Size
    train, test : Pool
        Victim with training and with test images.
    labels : tuple of int
        C', the most frequent labels among the predictions.
    omegas : dict of int to tuple of target sets
        By |Ω|; a size without a set that has enough images is missing.
    seed : int
    """

    panel: Panel
    size: Size
    train: Pool
    test: Pool
    labels: tuple[int, ...]
    omegas: dict[int, tuple[tuple[int, ...], ...]]
    seed: int

    @cached_property
    def identity(self) -> str:
        """Digest of the victim and its training images."""
        return fingerprint.digest(self.train.net.model, self.train.images, self.train.names)

    @property
    def training(self) -> Training:
        """Budget of every vector.

        Deviation: ξ = ε / 5 where the paper has ε / 25, because 25 steps are needed there just to reach ε and a laptop
        makes 30 in all.
        """
        size, ε = self.size, self.panel.epsilon
        return Training(epsilon=ε, step=ε / 5, epochs=size.epochs, images=size.images, batch=size.batch, seed=self.seed)

    def all_omegas(self, sizes: Sequence[int] = ()) -> list[tuple[int, ...]]:
        """Target sets of these sizes, or of all, the smallest first."""
        return [omega for of in sorted(self.omegas) if not sizes or of in sizes for omega in self.omegas[of]]


def scene(
    panel: Panel, size: Size, sizes: Sequence[int] = (1, 2, 3, 4, 5), device: str = "cpu", seed: int = 0
) -> Scene:
    """Draw images, the most frequent labels C' and for each |Ω| target sets that have enough images.

    Deviation: the paper's lists of labels and sets are not published. A set is taken at random among those that enough
    images are predicted to contain.
    """
    model, names = victims.load(panel.victim, device=device), label_names(panel.victim)
    train, test = (
        Pool(model, _images(panel.data, split, count), names)
        for split, count in (("train", size.training), ("test", size.test))
    )
    least = {"in_training": size.in_training, "in_test": size.in_test}
    labels = universal.choose_labels(train, test, size.labels, **least)
    omegas = {1: tuple((label,) for label in labels)}
    for of in sizes:
        if 1 < of <= len(labels):
            omegas[of] = universal.choose_sets(train, test, labels, of, size.sets, seed=seed, **least)
    return Scene(panel, size, train, test, labels, {of: found for of, found in omegas.items() if found}, seed)


@lru_cache(maxsize=2)  # victims of one data set share them
def _images(data: str, split: str, count: int) -> Tensor:
    drawn = datasets.load(data, split)
    return datasets.tensors(drawn, range(min(count, len(drawn))))[0].float() / 255


# Laptop settings beside the budget. A generator for 64 x 64 images needs no 768 channels; NAG's Adam and κ are those of
# all methods. SGA goes through its images twice as often as the others, the published program four times.
_OPTIONS = {"SGA": {"inner_passes": 2, "inner_batch": 8}, "NAG": {"width": 64}, "CMLU_alpha": {"inner_steps": 1}}
_LEARNERS = {
    "SGA": universal.sga,
    "NAG": universal.nag,
    "CMLU_alpha": universal.cmlu_alpha,
    "CMLU_beta": universal.cmlu_beta,
}


def learn(scene: Scene, method: str, of: int = 1, options: dict | None = None, **changes):
    """Train a method on a scene, or take what was trained before from the store.

    Parameters
    ----------
    scene : Scene
    method : str
        One of `METHODS`.
    of : int
        |Ω|: Oracle and Or-C are trained for the sets of one size; the other methods serve all sizes.
    options : dict, optional
        Of the method's function, beside the laptop's own, such as {"penalty": 0.0}; not for Oracle and Or-S.
    changes
        Fields of `Training` that differ from the scene's, such as kappa=30; a changed epsilon takes ξ = ε / 5 with it.

    Returns
    -------
    What the functions of `flipbook.universal` return.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, 1, 0)[0]
        raise ValueError(f"method is {method!r}: did you mean {near!r}? There are {', '.join(METHODS)}")
    if "epsilon" in changes:
        changes = {"step": changes["epsilon"] / 5} | changes
    training, options = replace(scene.training, **changes), _OPTIONS.get(method, {}) | (options or {})
    if method in ("Oracle", "Or-S"):
        found = _trained(scene, universal.oracle, training, scene.omegas[1 if method == "Or-S" else of])
        return found if method == "Oracle" else found.basis()
    if method == "Or-C":
        return _trained(scene, universal.or_c, training, scene.omegas[of], learn(scene, "Or-S", **changes), **options)
    return _trained(scene, _LEARNERS[method], training, scene.labels, **options)


def _trained(scene: Scene, learner: Callable, training: Training, what, *before, **options):
    """Train it, or take what was trained before from the store."""
    vectors = [universal_.vectors for universal_ in before]
    settings = asdict(training) | {"progress": True}
    key = fingerprint.digest(learner, settings, options, what, vectors, scene.identity)
    return kept(
        f"universal/{learner.__name__}-{key[:20]}",
        load=lambda path: universal.load(path, scene.train),
        learn=lambda: learner(*before, scene.train, what, training, **options),
        save=universal.save,
    )


def rates(scene: Scene, methods: Sequence[str] = METHODS, test: Pool | None = None, **changes) -> pd.DataFrame:
    """FR and NT_R of every target set under every method, after the columns dataset, model, method.

    Parameters
    ----------
    scene : Scene
    methods : sequence of str
    test : Pool, optional
        Of another victim of the same labels, for transfer: images are chosen by its predictions.
    changes
        As for `learn`; `projection` is for the composition instead.

    Returns
    -------
    DataFrame
        One row a method and set, with the columns of `universal.evaluate`, `passes` (forward and backward passes of
        training behind the sets of this size) and `per_image` (the same per vector and image).
    """
    parts, pool = [], test or scene.test
    how = {"projection": changes.pop("projection")} if "projection" in changes else {}
    shelf = _shelf(pool)
    for method in methods:
        for of, omegas in scene.omegas.items():
            learnt = learn(scene, method, of, **changes)
            part = _rated(shelf, learnt, pool, omegas, **how)
            part.insert(0, "method", method)
            parts.append(part.assign(passes=passes(learnt), per_image=per_image(learnt)))
    rows = pd.concat(parts, ignore_index=True)
    rows.insert(0, "model", scene.panel.model)
    rows.insert(0, "dataset", scene.panel.dataset)
    return rows


def _shelf(pool: Pool) -> Store:
    """Where the counts of this victim and its images are kept."""
    of = {"function": universal.evaluate, "pool": fingerprint.digest(pool.net.model, pool.images, pool.names)}
    return Store.of("universal-rates", {name: fingerprint.canonical(value) for name, value in of.items()})


def _rated(shelf: Store, learnt, pool: Pool, omegas: Sequence[tuple[int, ...]], **how) -> pd.DataFrame:
    """Rows of `universal.evaluate`, counted once for each vector and set: methods and notebooks share some."""
    vectors = learnt.compose_all(omegas, **how)
    keys = [fingerprint.digest(vector, omega) for vector, omega in zip(vectors, omegas, strict=True)]
    lock = paths.store() / f"{shelf.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        done = shelf.rows().index
        missing = {key: omega for key, omega in zip(keys, omegas, strict=True) if key not in done}
        if missing:
            fresh = universal.evaluate(learnt, pool, missing.values(), **how).drop(columns="omega")
            shelf.add(fresh.set_axis(list(missing), axis="index"), {})
        rows = shelf.rows().loc[keys].reset_index(drop=True)
    rows.insert(0, "omega", list(omegas))
    return rows


def growth(scene: Scene, images: int = 4) -> pd.DataFrame:
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
    training, lines = replace(scene.training, epochs=1, images=images, batch=images, progress=False), []
    for count in range(1, len(scene.labels) + 1):
        labels = scene.labels[:count]
        for method, learner, what in (
            ("CMLU_beta", universal.cmlu_beta, labels),
            ("Oracle", universal.oracle, list(_together(scene.train, labels))),
        ):
            made = passes(learner(scene.train, what, training)) / images
            lines.append({"method": method, "labels": count, "vectors": len(what), "passes": made})
    return pd.DataFrame(lines)


def occurrences(pool: Pool, sizes: Sequence[int]) -> pd.DataFrame:
    """How many images can carry target sets of these sizes, whatever their labels.

    Returns
    -------
    DataFrame
        One row a size: size, images (that are predicted to contain so many labels or more) and most (the images of the
        target set of this size that has most).
    """
    lines, counts = [], pool.present.sum(dim=1)
    for of in sizes:
        enough = [tuple(row.nonzero().flatten().tolist()) for row in pool.present[counts >= of]]
        sets = Counter(omega for labels in enough for omega in combinations(labels, of))
        lines.append({"size": of, "images": len(enough), "most": max(sets.values(), default=0)})
    return pd.DataFrame(lines)


def _together(pool: Pool, labels: Sequence[int]) -> dict[tuple[int, ...], None]:
    """Every target set of these labels that an image contains, the smallest first."""
    seen = {tuple(sorted(set(labels) & set(row.nonzero().flatten().tolist()))) for row in pool.present}
    sets = {omega for found in seen for of in range(1, len(found) + 1) for omega in combinations(found, of)}
    return dict.fromkeys(sorted(sets, key=lambda omega: (len(omega), omega)))


def switched_off(scene: Scene, methods: Sequence[str], omegas: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How often each label of a pair goes off under either vector alone and under their sum, on images with both.

    Returns
    -------
    DataFrame
        One row a method, pair and perturbation ("first", "second", "sum"): labels, images, and in percent
        "off 1", "off 2" and "both": the images on which the pair's first, second and both labels are off.
    """
    lines = []
    for method in methods:
        basis = learn(scene, method)
        for omega in omegas:
            index = scene.test.containing(omega)
            for name, part in zip(("first", "second", "sum"), ((omega[0],), (omega[1],), omega), strict=True):
                on = attacked_logits(scene, basis, part, index)[:, list(omega)] > 0
                off = 100 * (~on).double().mean(dim=0)
                line = {
                    "method": method,
                    "omega": omega,
                    "labels": named(omega, scene.test.names),
                    "perturbation": name,
                }
                both = 100 * (~on).all(dim=1).double().mean().item()
                lines.append(
                    line | {"images": len(index), "off 1": off[0].item(), "off 2": off[1].item(), "both": both}
                )
    return pd.DataFrame(lines)


def attacked(scene: Scene, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Test images of these indices under the perturbation of a target set."""
    return projections.apply(scene.test.take(index), learnt.compose(omega).to(scene.test.device))


def attacked_logits(scene: Scene, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Return the victim's logits (n, C) of what `attacked` returns."""
    with torch.no_grad():
        return scene.test.net(attacked(scene, learnt, omega, index))


def similarity(scene: Scene, learnt, images: int = 32) -> list[float]:
    """Mean SSIM of test images with every label's vector, on at most so many images that contain the label."""
    values = []
    for label in scene.labels:
        index = scene.test.containing((label,))[:images]
        values.append(ssim(attacked(scene, learnt, (label,), index), scene.test.take(index)).mean().item())
    return values


def coordinates(learnt, vector: Tensor, pair: tuple[int, int]) -> tuple[float, float, float]:
    """Where a vector's projection lies in the plane of a pair's vectors of largest value 1, and the part in the plane.

    Returns
    -------
    (float, float, float)
        e_x, e_y, and the share of the vector's squared length that lies in the plane.
    """
    axes = learnt.vectors[learnt.columns(pair)].flatten(1).double()
    axes = axes / axes.abs().amax(dim=1, keepdim=True)
    flat = vector.flatten().double()
    e = torch.linalg.lstsq(axes.T, flat).solution
    return e[0].item(), e[1].item(), ((e @ axes).square().sum() / flat.square().sum()).item()


def passes(learnt) -> int:
    """Forward and backward passes through the victim that training took; a mixture's with those of its basis."""
    before = learnt.basis.record if isinstance(learnt, universal.basis.Mixture) else {}
    return sum(record.get(way, 0) for record in (learnt.record, before) for way in ("forwards", "backwards"))


def per_image(learnt) -> float:
    """Forward and backward passes for each image that a vector (of Or-C: a set's coefficients) sees."""
    record = learnt.record
    if not record["vectors"]:
        return per_image(learnt.basis)
    return (record["forwards"] + record["backwards"]) / (record["vectors"] * record["images_per_vector"])


def means(rows: pd.DataFrame, by: Sequence[str] = ("dataset", "model", "method")) -> pd.DataFrame:
    """Means over the target sets of each size, in the order of the rows.

    Returns
    -------
    DataFrame
        The columns `by`, size, fr and ntr (percent, unweighted means over sets; ntr over those with a success), fr_std
        over sets, sets, images, passes and per_image.
    """
    lines = []
    for names, part in rows.groupby(list(by), sort=False):
        table = universal.summarise(part).reset_index()
        cost = part.groupby("size")[["passes", "per_image"]].first().reset_index()
        table = table.merge(cost, on="size").rename(columns={"FR": "fr", "NT_R": "ntr", "FR_std": "fr_std"})
        lines.append(table.assign(**dict(zip(by, names, strict=True))))
    columns = [*by, "size", "fr", "fr_std", "ntr", "sets", "images", "passes", "per_image"]
    return pd.concat(lines, ignore_index=True)[columns]


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


def seconds(scene: Scene, methods: Sequence[str] = METHODS, **changes) -> float:
    """How long the training of these methods took, when it was done."""
    total = {}
    for method in methods:
        for of in scene.omegas if method in PER_SET else (1,):
            trained = "Oracle" if method == "Or-S" else method
            total[trained, of] = learn(scene, method, of, **changes).record["seconds"]
    return sum(total.values())


def tabular(frame: pd.DataFrame) -> pd.DataFrame:
    """Means or printed numbers with the columns named as tables show them, |Ω| as text."""
    frame = frame.rename(columns=_HEADINGS)
    return frame.assign(**{"|Ω|": frame["|Ω|"].astype(str)})


_HEADINGS = {
    "size": "|Ω|",
    "target_set_size": "|Ω|",
    "fr": "FR",
    "fr_std": "FR, deviation over sets",
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


def describe(panel: Panel) -> str:
    """A panel's victim with what it stands in for and its quality, as captions say it."""
    about = victims.describe(panel.victim)
    return f"{panel.victim} ({about.stands_for}; {about.metric} {about.quality:.3f}; ε = {panel.epsilon:g})"


def captions(scenes: Sequence[Scene]) -> str:
    """The data sets of some scenes."""
    found = {scene.panel.data: datasets.load(scene.panel.data, "test").caption for scene in scenes}
    return "; ".join(found.values())


def reduced(size: Size) -> str:
    """What is smaller than in the paper."""
    return (
        f"{size.labels} labels that may be attacked, {size.sets} target sets a size, "
        f"{size.epochs} epochs of {size.images} images a vector with steps of ε / 5"
    )


def shown(method: str) -> str:
    """A method's name for figures: "CMLU-β" for "CMLU_beta"."""
    return method.replace("_alpha", "-α").replace("_beta", "-β")
