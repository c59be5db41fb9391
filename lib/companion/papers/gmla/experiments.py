"""The experiments of the GMLA supplement (Mahmood and Elhamifar, CVPR 2024).

What is attacked are pairs: a set Ω of labels to switch off, and an image whose predictions contain it. Every rate is
taken for each Ω, and the tables give its mean and standard deviation over target sets.
"""

import json
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from companion import datasets, paths, victims
from companion.papers.pools import clean_logits, first_images
from companion.papers.sizes import less, on_a_laptop_only, resized
from companion.papers.with_logits import with_logits
from companion.sampling import target_sets
from companion.victims import graphs
from flipbook import attacks, evaluation
from flipbook.core.validation import check_choice
from flipbook.evaluation import AttackConfig
from flipbook.goals import Goal, HideLabels, LabelVector
from flipbook.graphs import KnowledgeGraph, consistency

LARGEST_RMSD = 5000 / (3 * 224 * 224) ** 0.5  # in grey levels: what a norm of 5000 comes to at the paper's image size
UNFILTERED = "MLA-LP, of any size"
ALONE = "one image a target set: a deviation would be that of single images, unlike the paper's, and is left out"
MEASURES = {"fr_n": "FR_N", "fr_s": "FR_S", "ntr_all": "NT_R", "fr_s_global": "FR_S global", "ntr": "NT_R of successes"}


@dataclass(frozen=True)
class Setting:
    """One victim: data set and model as printed, and what stands in their place.

    splits are the parts of the data set that hold images to attack; no victim was trained on them.
    """

    dataset: str
    model: str
    data: str
    victim: str
    splits: tuple[str, ...] = ("test",)


_HEADS = {"ML-GCN": "gcn", "ASL": "asl", "ML-Decoder": "decoder"}
_STANDS = {"PASCAL-VOC": "pictograms20", "NUS-WIDE": "pictograms81"}
# Sets of five labels are rare in pictograms268: the test images alone have eight of them.
_OPEN_IMAGES = Setting("OpenImages", "ASL", "pictograms268", "pictograms268-asl", ("test", "validation"))
_SETTINGS = {
    "table-01": [Setting(dataset, m, d, f"{d}-{head}") for m, head in _HEADS.items() for dataset, d in _STANDS.items()],
    "table-02": [_OPEN_IMAGES],
    "figure-01": [_OPEN_IMAGES],
    "figure-02": [Setting("PASCAL-VOC", m, "pictograms20", f"pictograms20-{head}") for m, head in _HEADS.items()],
}


def settings(artefact: str, profile: str = "laptop") -> list[Setting]:
    """The victims of an artefact.

    Raises
    ------
    ValueError
        For an artefact without victims, and for the paper profile: nobody published classifiers of VOC or NUS-WIDE
        that know abstract labels, and there is no loader for Open Images yet.
    """
    check_choice("artefact", artefact, tuple(_SETTINGS))
    on_a_laptop_only(artefact, profile, "there are no paper-scale victims that know abstract labels")
    return _SETTINGS[artefact]


def setting(artefact: str, profile: str, model: str) -> Setting:
    """The setting of an artefact with a model as printed, such as "ASL"."""
    found = {setting.model: setting for setting in settings(artefact, profile)}
    check_choice("model", model, tuple(found))
    return found[model]


@dataclass(frozen=True)
class Size:
    """How much is run.

    Attributes
    ----------
    sets, images : int
        Target sets at most, and images for each at most.
    at_least : int
        Images that a target set must occur in.
    pool : int
        Images looked at, from the beginning of each split.
    iterations : int
        Steps of an attack at most.
    """

    sets: int
    images: int
    at_least: int
    pool: int
    iterations: int


_SIZES = {
    "table-01": Size(12, 4, 10, 2000, 300),
    "table-02": Size(12, 4, 3, 2000, 300),
    "figure-01": Size(12, 3, 3, 2000, 300),
    "figure-02": Size(12, 2, 10, 2000, 20),
}
_PAPER = {
    "table-01": Size(200, 50, 10, 5000, 300),
    "table-02": Size(200, 50, 50, 100_000, 300),
    "figure-01": Size(200, 50, 50, 100_000, 300),
    "figure-02": Size(200, 50, 10, 5000, 100),
}


def size(artefact: str, **asked: int) -> Size:
    """An artefact's size on a laptop, with what is not 0 in its place; the names are those of `Size`."""
    check_choice("artefact", artefact, tuple(_SIZES))
    return resized(_SIZES[artefact], "the laptop's own", **asked)


@dataclass(frozen=True)
class Clean:
    """A victim and the images on which its predictions contradict nothing.

    Attributes
    ----------
    images : Tensor (n, channels, H, W)
    indices : list of n int
        Places in the data set, split after split.
    predicted : Tensor (n, C) of bool
    looked_at : int
        Images that these were chosen from.
    """

    setting: Setting
    model: torch.nn.Module
    graph: KnowledgeGraph
    caption: str
    images: Tensor
    indices: list[int]
    predicted: Tensor
    looked_at: int


def clean(setting: Setting, pool: int, device: str = "cpu") -> Clean:
    """Load a victim and look at its data.

    The authors take images with consistent predictions of ML-GCN for all three models; here it is the attacked model's
    own predictions that must be consistent, since Ψ is not well defined for others.
    """
    model, graph = victims.load(setting.victim, device=device), graphs.load(setting.data)
    images, places, before = [], [], 0
    for split in setting.splits:
        data = datasets.load(setting.data, split=split)
        images.append(first_images(setting.data, split, pool))
        places += range(before, before + len(images[-1]))
        before += len(data)
    images = torch.cat(images)
    on = (clean_logits(model, images) > 0).cpu()
    chosen = consistency.globally_consistent(graph, on).nonzero().flatten()
    indices = [places[i] for i in chosen.tolist()]
    return Clean(setting, model, graph, data.caption, images[chosen], indices, on[chosen], len(images))


@dataclass(frozen=True)
class Setup:
    """Pairs of an image and a target set.

    Attributes
    ----------
    clean : Clean
    sets : TargetSets
    rows, numbers : Tensor (P,) of int64
        Of every pair, the place of its image in `clean` and of its target set in `sets`.
    """

    clean: Clean
    sets: target_sets.TargetSets
    rows: Tensor
    numbers: Tensor

    @property
    def images(self) -> Tensor:
        """The images (P, channels, H, W)."""
        return self.clean.images[self.rows]

    @property
    def indices(self) -> list[int]:
        """Their places in the data set."""
        return [self.clean.indices[i] for i in self.rows.tolist()]

    @property
    def predicted(self) -> Tensor:
        """What is on in the clean images, (P, C) of bool."""
        return self.clean.predicted[self.rows]

    @property
    def Ω(self) -> Tensor:
        """The labels to switch off, (P, C) of bool."""
        return self.sets.masks(len(self.clean.graph))[self.numbers]

    @property
    def Ψ(self) -> Tensor:
        """The labels that must go with them, h(Ω, G), (P, C) of bool."""
        return consistency.h(self.clean.graph, self.predicted, self.Ω)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index) -> "Setup":
        return replace(self, rows=self.rows[index], numbers=self.numbers[index])

    def firsts(self, most: int | None = None) -> "Setup":
        """The first pair of every target set, or of the first so many."""
        numbers = self.numbers.tolist()
        return self[[numbers.index(number) for number in range(len(self.sets))][:most]]

    def names(self) -> list[str]:
        """What goes off in every pair: labels of Ω, and after a plus sign what Ψ adds; one a line."""
        graph, texts = self.clean.graph, []
        for Ω, more in zip(self.Ω, self.Ψ & ~self.Ω, strict=True):
            texts.append("\n".join([*graph.names(Ω), *(f"+ {label}" for label in graph.names(more))]))
        return texts


def setup(clean: Clean, labels: int, size: Size, seed: int = 0) -> Setup:
    """Draw target sets of so many labels, keyed by `seed`, and pair each with the first images that hold it.

    Deviation on Open Images: the authors use no label twice and ask for 50 images; the stand-in has fewer labels an
    image, and all sets in at least `size.at_least` images are drawn from alike.

    Raises
    ------
    ValueError
        Where no set of labels occurs in enough images.
    """
    drawn = target_sets.draw([target_sets.Pool(clean.predicted, size.at_least)], labels, size.sets, seed)
    if not len(drawn):
        raise ValueError(
            f"no {labels} labels are on together in {size.at_least} images of {clean.setting.data}: "
            "ask for fewer labels, a lower `at_least` or a larger `pool`"
        )
    return Setup(clean, drawn, *target_sets.pairs(clean.predicted, drawn, size.images))


def config(method: str, attack, goal: Goal, shown: str = "", **hyper) -> AttackConfig:
    """An attack as a row of a table; what the model sees afterwards is kept."""
    return AttackConfig(method, shown, partial(with_logits, attack=attack), hyper, goal=goal)


def bounded(setup: Setup, bound: float, max_iterations: int) -> list[AttackConfig]:
    """MLA-U, MLA-C and GMLA within a bound (Table 1)."""
    hyper = {"bound": bound, "max_iterations": max_iterations}
    Ω, Ψ = HideLabels(setup.Ω), HideLabels(setup.Ψ)
    return [
        config("MLA-U", attacks.mla_u, Ω, **hyper),
        config("MLA-C", attacks.mla_c, Ω, **hyper),
        config("GMLA", attacks.gmla, Ψ, **hyper),
    ]


def linear(setup: Setup, max_iterations: int = 10, lower: str = "all") -> list[AttackConfig]:
    """MLA-LP: Ω off and every other label as it is; it knows no bound. `lower` is the released program's by default."""
    goal = LabelVector(setup.predicted & ~setup.Ω)
    return [config("MLA-LP", attacks.mla_lp, goal, max_iterations=max_iterations, lower=lower)]


def ablation(setup: Setup, bound: float, max_iterations: int) -> list[AttackConfig]:
    """GMLA and what is left of it without its projection (Table 2)."""
    goal, hyper = HideLabels(setup.Ψ), {"bound": bound, "max_iterations": max_iterations}
    variants = {"GMLA_alpha": attacks.mla_u, "GMLA_beta": attacks.mla_c, "GMLA": attacks.gmla}
    return [config(name, attack, goal, **hyper) for name, attack in variants.items()]


def thresholds(setup: Setup, taus: list[float], bound: float, max_iterations: int) -> list[AttackConfig]:
    """GMLA with each of some thresholds τ (Figure 1), its cosines traced."""
    goal, hyper = HideLabels(setup.Ψ), {"bound": bound, "max_iterations": max_iterations, "trace": True}
    return [config("GMLA", attacks.gmla, goal, f"τ = {tau:g}", tau=tau, **hyper) for tau in taus]


def deepfools(setup: Setup, max_iterations: int, mode: str = "all") -> list[AttackConfig]:
    """ML-DeepFool with the three ways to say what it must keep (Figure 2).

    The bound is the paper's 5000 grey levels, brought to the size of these images by the mean square.
    """
    goals = {
        "MLA-U": HideLabels(setup.Ω),
        "MLA-C": LabelVector(setup.predicted & ~setup.Ω),
        "GMLA_alpha": HideLabels(setup.Ψ),
    }
    bound = LARGEST_RMSD / 255 * setup.images[0].numel() ** 0.5
    hyper = {"max_iterations": max_iterations, "mode": mode, "bound": bound}
    return [config(name, attacks.ml_deepfool, goal, **hyper) for name, goal in goals.items()]


def run(setup: Setup, configs: list[AttackConfig], within: float | None = None, **options) -> pd.DataFrame:
    """Rows of `evaluation.grid` on the pairs of a setup, with GMLA's measures.

    Parameters
    ----------
    setup : Setup
    configs : list of AttackConfig
        From this module.
    within : float, optional
        Which answers count: without it those that reached their goal, with it those that change no pixel by more.
        In place of others the clean image is measured, as in the authors' program.
    options
        For `evaluation.grid`.

    Returns
    -------
    DataFrame
        After the columns of `grid`: dataset and model (as printed), labels (|Ω|), target_set (its number), the columns
        of `consistency.measure`, ssim and rmsd (grey levels) NaN where the answer does not count or leaves Ω on.
    """
    rows = evaluation.grid(configs, setup.clean.model, setup.images, ids=setup.indices, **options)
    counts = rows["reached"].astype(bool) if within is None else rows["linf"] <= within * (1 + 1e-5)
    return _measured(setup, rows, counts, len(configs))


def unfiltered(setup: Setup, configs: list[AttackConfig], **options) -> pd.DataFrame:
    """Rows of MLA-LP in which every answer counts, however large: rows of ours."""
    return run(setup, configs, within=1.0, **options).replace({"method": {"MLA-LP": UNFILTERED}})


def _measured(setup: Setup, rows: pd.DataFrame, counts: pd.Series, times: int) -> pd.DataFrame:
    after = torch.stack(evaluation.traces(rows, "logits")) > 0
    before, Ω = setup.predicted.repeat(times, 1), setup.Ω.repeat(times, 1)
    measures = consistency.measure(before, after, Ω, setup.clean.graph, torch.tensor(counts.to_numpy()))
    setting, succeeded = setup.clean.setting, measures["fr_n"] > 0
    rows.insert(0, "dataset", setting.dataset)
    rows.insert(1, "model", setting.model)
    return rows.assign(
        labels=int(setup.Ω[0].sum()),
        target_set=setup.numbers.tolist() * times,
        rmsd=255 * (rows["mse"] ** 0.5).where(succeeded),
        ssim=rows["ssim"].where(succeeded),
        passes=rows["forwards"] + rows["backwards"],
        **measures,
    )


def rates(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Lines of a table: the measures in percent, mean and (±) standard deviation over target sets.

    Returns
    -------
    DataFrame
        by, FR_N, FR_S, NT_R (over all images), FR_S global, NT_R of successes, each with its "±"; ssim, over all
        successes alike; pairs and passes; note, which says where there is no "±": with one image a target set, rates
        are 0 or 100, and their deviation would be that of single images.
    """
    table = consistency.over_target_sets(rows[[*by, "target_set", *MEASURES]], by=by)
    lines = table[by].copy()
    for name, shown in MEASURES.items():
        lines[shown] = 100 * table[name]
        lines[f"± {shown}"] = (100 * table[f"{name}_std"]).where(table["images"] > table["target_sets"])
    lines["note"] = (table["images"] > table["target_sets"]).map({True: "", False: ALONE})
    groups = rows.groupby(by, sort=False)
    means = groups[["ssim", "passes"]].mean().assign(pairs=groups.size()).reset_index()
    return lines.merge(means, on=by)


def printed(reported: pd.DataFrame) -> pd.DataFrame:
    """Printed rows with the columns of `rates`."""
    names = {f"{key}_{end}": f"{sign}{shown}" for key, shown in _PRINTED for end, sign in (("mean", ""), ("std", "± "))}
    return reported.rename(columns=names | {"target_set_size": "labels"})


_PRINTED = (("frn", "FR_N"), ("frs", "FR_S"), ("ntr", "NT_R"))
COLUMNS = tuple(f"{sign}{shown}" for _, shown in _PRINTED for sign in ("", "± "))
EXTRA = ("FR_S global", "NT_R of successes", "pairs", "passes")


def describe(setting: Setting) -> str:
    """A setting's victim with what it stands in for, as captions say it."""
    about = victims.describe(setting.victim)
    return f"{setting.victim} (stands in for {about.stands_for}, {about.metric} {about.quality:.3f})"


def summary(setups: list[Setup]) -> str:
    """Victims, images to choose from, target sets and pairs of some setups, a line each."""
    lines = []
    for setup in setups:
        clean, sets = setup.clean, setup.sets
        eligible = "many" if sets.eligible is None else sets.eligible
        abstract = int((sets.masks(len(clean.graph)) & clean.graph.abstract).any(1).sum())
        lines.append(
            f"{clean.setting.victim}: {len(clean.indices)} of {clean.looked_at} images with consistent predictions; "
            f"{len(sets)} of {eligible} sets of {int(setup.Ω[0].sum())} labels ({abstract} with an abstract one), "
            f"{len(setup)} pairs, Ψ larger than Ω in {int((setup.Ψ & ~setup.Ω).any(1).sum())}"
        )
    return "\n".join(lines)


def reduced(artefact: str, size: Size, setups: list[Setup]) -> str:
    """What is smaller than in the paper: target sets, images for each and steps."""
    full, sets = _PAPER[artefact], max(len(setup.sets) for setup in setups)
    parts = [f"{sets} target sets"] if sets < full.sets else []
    smaller = less((size.images, full.images, "images a set"), (size.iterations, full.iterations, "steps"))
    return ", ".join(parts + smaller)


def cosines(rows: pd.DataFrame) -> Tensor:
    """The cosine ρ at every step of these rows of `thresholds`, one after the other."""
    steps = torch.cat(evaluation.traces(rows, "rho"))
    return steps[~steps.isnan()]


def steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Of every row of `thresholds`: its steps, those projected, and those with opposed directions (ρ below 0)."""
    rho, projected = (torch.stack(evaluation.traces(rows, name)) for name in ("rho", "projected"))
    counts = {"steps": ~rho.isnan(), "projected": projected == 1, "opposed": rho < 0}
    return pd.DataFrame({name: of.sum(1).numpy() for name, of in counts.items()}, index=rows.index)


def nodes(graph: KnowledgeGraph) -> pd.DataFrame:
    """A line for every label of a graph: its parent, its depth, whether it is abstract, how many annotated below."""
    parents = [graph.labels[parent] if parent is not None else "" for parent in graph.parents]
    kinds = ["abstract" if abstract else "annotated" for abstract in graph.abstract.tolist()]
    below = [str(int(count)) for count in graph.anc[:, : graph.annotated].sum(1)]
    depth = [str(d) for d in graph.depth.tolist()]
    return pd.DataFrame({"label": graph.labels, "kind": kinds, "parent": parents, "depth": depth, "below": below})


def links_unlike_reported(graph: KnowledgeGraph, name: str) -> int:
    """How many labels have another parent than in the authors' data, data/reported/gmla/<name>-knowledge-graph.json."""
    path = paths.REPORTED / "gmla" / f"{name}-knowledge-graph.json"
    reported = {node["name"]: node["parent_name"] for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]}
    ours = {label: row.parent or None for label, row in zip(graph.labels, nodes(graph).itertuples(), strict=True)}
    return sum(ours.get(label, "") != reported.get(label, "") for label in ours.keys() | reported.keys())
