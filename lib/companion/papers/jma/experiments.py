"""The experiments of the JMA paper (Tondi, Guo, Pancino, Barni; arXiv 2401.01199), sections VI and VII.

The printed tables are the grid: every row of data/reported/jma/*.csv names a method and its parameters, and `configs`
turns each into the attack with those hyper-parameters.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from companion import datasets, victims
from companion.papers.sizes import less, resized
from companion.sampling import choice
from flipbook import attacks
from flipbook.evaluation import AttackConfig
from flipbook.goals import ClassTarget, Goal, LabelVector


@dataclass(frozen=True)
class Setting:
    """One victim of a table.

    Attributes
    ----------
    letter : str
        As in the `setting` column of the printed numbers; empty where a table has one setting.
    data, victim : str
        Names for `datasets.load` and `victims.load`.
    target : str
        "class" (another class), "training" (a training image's label vector), "off" (no label), or the number of
        labels to flip.
    require_correct : bool
        Attack only images whose decision is right (all tables but those on MS-COCO and NUS-WIDE).
    """

    letter: str
    data: str
    victim: str
    target: str
    require_correct: bool = True


_NETS = {"a": "resnet", "b": "vit", "c": "mlp"}  # for ResNet50, ViT-B/16 and CLIP + MLP
_SETTINGS = {
    "table-01": [Setting("", "signs43", "signs43-onehot", "class")],
    "table-02": [Setting("", "pictograms238", "pictograms238-onehot", "class")],
    "table-03": [Setting("", "signs32", "signs32-ecoc", "class")],
    "table-04": [Setting("", "pictograms10", "pictograms10-ecoc", "class")],
    "table-05": [Setting("", "digits", "digits-ecoc", "class")],
    "table-06": [Setting("", "pictograms20", "pictograms20-resnet", "training")],
    "table-07": [Setting("", "pictograms20", "pictograms20-resnet", "5")],
    "table-08": [Setting("", "pictograms20", "pictograms20-resnet", "10")],
    "table-09": [Setting("", "pictograms20", "pictograms20-resnet", "20")],
    "table-10": [Setting(p, "pictograms20", f"pictograms20-{net}", "training") for p, net in _NETS.items()],
    "table-11": [Setting(p, "pictograms20", f"pictograms20-{net}", "10") for p, net in _NETS.items()],
    "table-12": [
        Setting("a", "pictograms80", "pictograms80-resnet", "10", False),
        Setting("b", "pictograms80", "pictograms80-mlp", "10", False),
    ],
    "table-13": [Setting("", "pictograms81", "pictograms81-mlp", "10", False)],
    "table-14": [
        Setting("a", "pictograms81", "pictograms81-mlp", "training", False),
        Setting("b", "pictograms81", "pictograms81-mlp", "off", False),
    ],
}
# The paper profile: data and victim of each setting, by its letter, as far as loaders and architectures go. CLIP + MLP
# (settings X-XI c, XII b, XIII and XIV) is missing.
_INCEPTION = {"": ("voc2012", "voc2012-inception-v3")}
_TORCHVISION = {"a": ("voc2012-224", "voc2012-resnet-50"), "b": ("voc2012-224", "voc2012-vit-b-16")}
_PAPER = {
    "table-05": {"": ("mnist", "mnist-ecoc")},
    **dict.fromkeys(("table-06", "table-07", "table-08", "table-09"), _INCEPTION),
    **dict.fromkeys(("table-10", "table-11"), _TORCHVISION),
    "table-12": {"a": ("coco2014", "coco2014-swin-b")},
}


def settings(artefact: str, profile: str = "laptop") -> list[Setting]:
    """The settings of a table: stand-ins in the laptop profile, the paper's own data and victims in the paper profile.

    Raises
    ------
    ValueError
        For a table that is not of this paper, and in the paper profile for data or victims that are not there yet.
    """
    if artefact not in _SETTINGS:
        raise ValueError(f"artefact is {artefact!r}: the JMA paper's tables are {', '.join(_SETTINGS)}")
    if profile == "laptop":
        return _SETTINGS[artefact]
    if profile != "paper":
        raise ValueError(f"profile is {profile!r}: choose 'laptop' or 'paper'")
    if artefact not in _PAPER:
        missing = ", ".join(sorted({setting.data for setting in _SETTINGS[artefact]}))
        raise ValueError(
            f"{artefact} has no paper profile yet: there are no paper-scale victims for what {missing} stands in for; "
            f"run it with profile 'laptop', or one of {', '.join(_PAPER)}"
        )
    own = _PAPER[artefact]
    return [
        replace(setting, data=own[setting.letter][0], victim=own[setting.letter][1])
        for setting in _SETTINGS[artefact]
        if setting.letter in own
    ]


@dataclass(frozen=True)
class Size:
    """How much of a table is run.

    Attributes
    ----------
    images : int
        Attacked images a setting; the paper has 200.
    largest_search : int
        Rows whose search over λ may take more gradient steps than this (n_bs · n_it,max) are left out.
    largest_loop : int
        The same for the linearisations of JMA (n_it,max).
    """

    images: int
    largest_search: int
    largest_loop: int


_UNLIMITED = 10**9
_FULL = Size(200, _UNLIMITED, _UNLIMITED)
_LAPTOP_IMAGES = {"table-01": 16, "table-02": 16, "table-10": 4, "table-11": 4, "table-12": 4, "table-13": 4}


def size(artefact: str, profile: str, images: int = 0, largest_search: int = 0, largest_loop: int = 0) -> Size:
    """A profile's size of a table, with what is not 0 in its place.

    Raises
    ------
    ValueError
        For a negative number.
    """
    base = Size(_LAPTOP_IMAGES.get(artefact, 6), 10_000, 500) if profile == "laptop" else _FULL
    return resized(base, images=images, largest_search=largest_search, largest_loop=largest_loop)


@dataclass(frozen=True)
class Setup:
    """All that a setting's attacks share: the victim, the images and what they must become."""

    setting: Setting
    model: torch.nn.Module
    data: object
    chosen: choice.Selection
    goal: Goal
    codebook: Tensor | None = None

    @property
    def labels(self) -> int | None:
        """Length of the label vectors; None for classes."""
        return self.goal.target.shape[1] if isinstance(self.goal, LabelVector) else None


def setup(setting: Setting, images: int, device: str = "cpu", seed: int = 0) -> Setup:
    """Load a setting's victim, draw its test images, and give every image its target (section VI-A).

    Images and targets are keyed by `seed` and the image, so that more images extend the list.
    """
    model, codebook = victims.load(setting.victim, device=device), victims.codebook(setting.victim)
    data = datasets.load(setting.data, split="test")
    chosen = choice.select(model, data, images, seed, codebook, setting.require_correct)
    return Setup(setting, model, data, chosen, _goal(setting, chosen, data, codebook, seed), codebook)


def one_image(
    setting: Setting, source: str, target: str, device: str = "cpu", seed: int = 0, among: int = 200
) -> Setup:
    """The first drawn image of class `source`, to become class `target`; empty names take what is drawn."""
    many = setup(setting, among, device, seed)
    for name in filter(None, (source, target)):
        if name not in many.data.labels:
            raise ValueError(f"class {name!r} is not one of {setting.data}: {', '.join(many.data.labels)}")
    fits = [i for i, own in enumerate(many.chosen.targets.tolist()) if not source or many.data.labels[own] == source]
    if not fits:
        raise ValueError(f"no image of class {source!r} among the first {among} drawn: use a larger `among`")
    at = fits[:1]
    goal = many.goal[at]
    if target:
        goal = ClassTarget(torch.tensor([many.data.labels.index(target)]), many.codebook)
    return Setup(setting, many.model, many.data, many.chosen[at], goal, many.codebook)


def _goal(setting: Setting, chosen: choice.Selection, data, codebook: Tensor | None, seed: int) -> Goal:
    if setting.target == "class":
        classes = len(data.labels)
        return ClassTarget(choice.other_class(chosen.targets, classes, chosen.indices, seed), codebook)
    if setting.target == "training":
        training = datasets.load(setting.data, split="train").targets
        return LabelVector(choice.training_vectors(chosen.predicted, chosen.indices, training, seed))
    if setting.target == "off":
        return LabelVector(choice.all_off(chosen.predicted))
    return LabelVector(choice.flip_bits(chosen.predicted, int(setting.target), chosen.indices, seed))


def configs(rows: pd.DataFrame, setup: Setup, size: Size) -> list[AttackConfig]:
    """One config for each distinct printed row that this profile runs.

    Parameters
    ----------
    rows : DataFrame
        Printed rows of one setting, from `report.reported`.
    setup : Setup
        Gives LOTS its target logits.
    size : Size
        Which rows are too long.
    """
    chosen = []
    for _, row in rows.drop_duplicates(["method", "parameters"]).iterrows():
        method, limit = row["method"], int(row["n_it_max"])
        if method == "JMA" and limit <= size.largest_loop:
            chosen.append(jma_trial(float(row["epsilon"]), limit, shown=row["parameters"]))
        elif method in _PENALTY and int(row["n_bs"]) * limit <= size.largest_search:
            chosen.append(
                penalty_trial(method, float(row["lambda0"]), int(row["n_bs"]), limit, shown=row["parameters"])
            )
        elif method == "LOTS":
            chosen.append(lots_trial(setup, limit))
        elif method == "MLA-LP":
            chosen.append(AttackConfig(method, row["parameters"], attacks.mla_lp, {"max_iterations": limit}))
        elif method == "SemA-ML":
            chosen.append(sema_trial(limit, shown=row["parameters"]))
    return chosen


_PENALTY = {"C&W": attacks.cw_l2, "ECOC Attack": attacks.ecoc_attack, "ML-C&W": attacks.ml_cw}


def jma_trial(step: float, max_iterations: int, shown: str = "", **options) -> AttackConfig:
    """A JMA row (ε, n_it,max) as published: no margin, moves of full length. Options are for a row of our own."""
    shown = shown or f"({step:g}, {max_iterations})" + "".join(f", {name} = {value}" for name, value in options.items())
    published = {"step": step, "max_iterations": max_iterations, "kappa": 0.0, "cap_step": False}
    return AttackConfig("JMA", shown, attacks.jma, published | options)


def penalty_trial(
    method: str, initial_weight: float, search_steps: int, max_iterations: int, shown: str = ""
) -> AttackConfig:
    """A C&W, ECOC Attack or ML-C&W row (λ0, n_bs, n_it,max). The largest λ it can reach is λ0 · 10^(n_bs - 1)."""
    shown = shown or f"({initial_weight:g}, {search_steps}, {max_iterations})"
    hyper = {"initial_weight": initial_weight, "search_steps": search_steps, "max_iterations": max_iterations}
    return AttackConfig(method, shown, _PENALTY[method], hyper)


def released_trial(max_iterations: int) -> AttackConfig:
    """ML-C&W as the code behind the paper's tables runs it: λ fixed at 1, the first success kept."""
    hyper = {"max_iterations": max_iterations, "released_code": True}
    return AttackConfig("ML-C&W", f"({max_iterations}), as released", attacks.ml_cw, hyper)


def lots_trial(setup: Setup, max_iterations: int) -> AttackConfig:
    """A LOTS row (n_it,max), aiming at the mean logits of training images that have the target."""
    return AttackConfig(
        "LOTS",
        str(max_iterations),
        attacks.lots,
        {"max_iterations": max_iterations},
        {"target_logits": mean_logits(setup)},
    )


def sema_trial(max_iterations: int, bound: float = 0.01, shown: str = "") -> AttackConfig:
    """A SemA-ML row (n_it,max), which is GMLA with T the labels to flip; `bound` is its ε for a row of our own.

    The paper does not print ε. 0.01 is the GMLA paper's, and what the printed MSE of 5.8e-5 to 9.9e-5 imply: no change
    within ε has more than ε² = 1e-4.
    """
    shown = shown or f"{max_iterations}, ε = {bound:g}"
    return AttackConfig("SemA-ML", shown, attacks.gmla, {"bound": bound, "max_iterations": max_iterations})


def mean_logits(setup: Setup, seed: int = 0) -> Tensor:
    """LOTS's aim (N, n): the mean logits of training images that carry an image's target.

    20 random ones for a label vector, 50 for a class of an output code, all where fewer exist (section VI-B; the paper
    does not say from which split, training images are fair).
    """
    goal, training = setup.goal, datasets.load(setup.setting.data, split="train")
    wanted = goal.target.to(training.targets.dtype)
    distinct, place = wanted.unique(dim=0, return_inverse=True)
    means = []
    for target in distinct:
        equal = training.targets == target
        matching = (equal.all(dim=1) if equal.ndim == 2 else equal).nonzero().flatten().numpy()
        if not len(matching):
            raise ValueError(
                "LOTS: a target occurs in no training image, so that there is nothing to aim at; use other targets"
            )
        few = 20 if setup.labels else 50
        drawn = np.random.default_rng([seed, *target.flatten().tolist()]).permutation(matching)[:few]
        images, _ = datasets.stack(training, drawn.tolist())
        with torch.no_grad():
            device = next(setup.model.parameters()).device
            means.append(setup.model(images.to(device)).mean(dim=0).cpu())
    return torch.stack(means)[place]


def target_captions(setup: Setup) -> list[str]:
    """What each image shows and must become, for captions: "30 → 80", or one line a label, + to appear and - to go."""
    names, goal = setup.data.labels, setup.goal
    if isinstance(goal, ClassTarget):
        pairs = zip(setup.chosen.targets.tolist(), goal.target.tolist(), strict=True)
        return [f"{names[own]} → {names[wanted]}" for own, wanted in pairs]
    texts = []
    for own, wanted in zip(setup.chosen.predicted.bool(), goal.target, strict=True):
        gone = [f"- {names[j]}" for j in (own & ~wanted).nonzero().flatten()]
        new = [f"+ {names[j]}" for j in (wanted & ~own).nonzero().flatten()]
        lines = gone + new
        texts.append("\n".join(lines if len(lines) < 5 else [*lines[:3], f"and {len(lines) - 3} more"]))
    return texts


def labels_seen(setup: Setup, images: Tensor, most: int = 12) -> list[str]:
    """The labels that the victim predicts, two a line, for captions."""
    with torch.no_grad():
        logits = setup.model(images.to(next(setup.model.parameters()).device)).cpu()
    texts = []
    for row in logits > 0:
        names = [setup.data.labels[j] for j in row.nonzero().flatten()][:most] or ["no label"]
        texts.append("\n".join(", ".join(names[i : i + 2]) for i in range(0, len(names), 2)))
    return texts


def outcomes(rows: pd.DataFrame) -> list[str]:
    """What an attack made of each image, for captions."""
    return [f"{'reached' if r.reached else 'not reached'}\nMSE {r.mse:.1e}" for r in rows.itertuples()]


def describe(setting: Setting) -> str:
    """A setting's victim with what it stands in for, as captions say it."""
    about = victims.describe(setting.victim)
    return f"{setting.victim} (stands in for {about.stands_for})" if about.stands_for else setting.victim


def place(artefact: str) -> str:
    """The table's name in the paper: "Table VI"."""
    numerals = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV"]
    return f"Table {numerals[int(artefact.removeprefix('table-')) - 1]}"


def reduced(printed: pd.DataFrame, configs: list[AttackConfig], images: int) -> str:
    """What is smaller than in the paper: the number of images, and the rows left out."""
    ran = {(config.method, config.parameters) for config in configs}
    wanted = printed.drop_duplicates(["method", "parameters"])
    left_out = [f"{m} {p}" for m, p in zip(wanted["method"], wanted["parameters"], strict=True) if (m, p) not in ran]
    parts = less((images, 200, "images"))
    return "; ".join(parts + ([f"without {', '.join(left_out)}"] if left_out else []))
