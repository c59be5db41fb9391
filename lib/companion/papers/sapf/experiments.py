"""The experiments of the SAPF paper (Fan, Wu, Li, Zhang, Li, Li, Yang; ECCV 2020), section 4.

Table 1 has two halves, CIFAR-10 and ImageNet. Every image is attacked once for each of its target classes, and these
pairs are what is counted; `cases` makes best, average and worst case of them.
"""

from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from companion import datasets, victims
from companion.papers.sizes import less, resized
from companion.sampling import choice
from flipbook import attacks, evaluation
from flipbook.core.validation import check_choice
from flipbook.evaluation import AttackConfig
from flipbook.goals import ClassTarget

SHARE = 0.2  # of the entries: what the paper's k comes to, 0.175 to 0.21 of N in its averages
END = "C&W-l0, to its end"
MATCHED = "SAPF at StrAttack's l0"
# Rows of ours: SAPF with another way to choose the support
SELECTIONS = {
    "SAPF, normalised ADMM": "normalised",
    "largest |δ| of the dense attack": "magnitude",
    "largest gradient": "gradient",
    "random support": "random",
}


@dataclass(frozen=True)
class Setting:
    """One half of Table 1: the paper's data set as printed, the data set in its place, and the victim."""

    dataset: str
    data: str

    @property
    def victim(self) -> str:
        """The one-hot classifier of the data set."""
        return f"{self.data}-onehot"


_STANDS = {"pictograms10": "CIFAR-10", "cifar10": "CIFAR-10", "cifar10-jpeg": "CIFAR-10", "pictograms238": "ImageNet"}
_DATA = {"laptop": "pictograms10 pictograms238", "paper": "cifar10"}


def settings(profile: str, data: str = "") -> list[Setting]:
    """The halves of Table 1 in a profile; `data` names others, separated by blanks, each with a victim "<name>-onehot".

    The paper profile has CIFAR-10 alone: there is no ImageNet loader yet.
    """
    check_choice("profile", profile, tuple(_DATA))
    names = data.split() or _DATA[profile].split()
    for name in names:
        check_choice("data", name, tuple(_STANDS))
    return [Setting(_STANDS[name], name) for name in names]


def setting(dataset: str, profile: str) -> Setting:
    """The half of Table 1 that a figure is about: "CIFAR-10" or "ImageNet"."""
    for half in settings(profile):
        if half.dataset == dataset:
            return half
    raise ValueError(f"there is no {dataset} in the {profile} profile yet: run this figure with profile 'laptop'")


@dataclass(frozen=True)
class Size:
    """How much is run: images, targets an image, and how many steps the attacks may make.

    budget is "laptop" or "published"; the latter are the attacks' own defaults.
    """

    images: int
    targets: int
    budget: str


_SIZES = {
    "pictograms10": Size(2, 6, "laptop"),
    "pictograms238": Size(2, 6, "laptop"),
    "cifar10": Size(1000, 9, "published"),
    "cifar10-jpeg": Size(1000, 9, "published"),
}


def size(setting: Setting, images: int = 0, targets: int = 0, budget: str = "") -> Size:
    """A setting's own size, with what is not 0 or empty in its place; the paper's is 1000 images and 9 targets."""
    check_choice("budget", budget, ("", *_BUDGETS))
    return resized(_SIZES[setting.data], images=images, targets=targets, budget=budget)


@dataclass(frozen=True)
class Setup:
    """The pairs of one setting: every image once for each of its targets.

    Attributes
    ----------
    chosen : Selection
        One entry a pair.
    goal : ClassTarget
        Of these pairs.
    """

    setting: Setting
    model: torch.nn.Module
    data: object
    chosen: choice.Selection
    goal: ClassTarget

    @property
    def entries(self) -> int:
        """N = w · h · c, the values of one image."""
        return self.chosen.images[0].numel()

    def names(self) -> list[str]:
        """Own and target class of every pair: "cat → dog"."""
        own, wanted = self.chosen.targets.tolist(), self.goal.target.tolist()
        return [f"{self.data.labels[a]} → {self.data.labels[b]}" for a, b in zip(own, wanted, strict=True)]

    def __getitem__(self, places: list[int]) -> "Setup":
        return replace(self, chosen=self.chosen[places], goal=self.goal[places])


def setup(setting: Setting, images: int, targets: int, device: str = "cpu", seed: int = 0) -> Setup:
    """Draw correctly classified test images and other classes for each, both keyed by `seed` and the image.

    Deviation: the paper does not say whether wrongly classified images are attacked, and its program takes the
    predicted class for the true one; only with right predictions is every target another class for both.
    """
    model, data = victims.load(setting.victim, device=device), datasets.load(setting.data, split="test")
    chosen = choice.select(model, data, images, seed)
    wanted = choice.other_classes(chosen.targets, len(data.labels), targets, chosen.indices, seed)
    return Setup(setting, model, data, *choice.pairs(chosen, wanted))


def choose_k(k: str, setup: Setup, references: pd.DataFrame | None = None) -> int | Tensor:
    """The number of entries that bounded attacks may change.

    Parameters
    ----------
    k : str
        A share of the entries below 1, a number of entries, "cw" (the mean l0 of C&W-l0's successes, what the text
        says), or "match" (for every pair the l0 of StrAttack on it, what the printed table comes to).
    references : DataFrame
        Rows of the setting that hold C&W-l0 or StrAttack, for "cw" and "match".

    Returns
    -------
    int, or for "match" Tensor (pairs,) of int64
        Where StrAttack failed, `SHARE` of the entries.
    """
    if k == "cw":
        won = references[(references["method"] == END) & references["reached"]]
        if won.empty:
            raise ValueError("k is 'cw', and C&W-l0 reached no target: give a number or a share")
        return round(won["l0"].mean())
    if k == "match":
        rows = references[references["method"] == "StrAttack"]
        l0 = rows["l0"].where(rows["reached"], SHARE * setup.entries)
        one_pixel = setup.chosen.images.shape[1]
        return torch.tensor(l0.round().to_numpy(dtype="int64", copy=True)).clamp(one_pixel, setup.entries)
    try:
        number = float(k)
    except ValueError:
        raise ValueError(f"k is {k!r}: give a share below 1, a number of entries, 'cw' or 'match'") from None
    return round(number * setup.entries) if number < 1 else int(number)


_ATTACKS = {
    "One-Pixel": attacks.one_pixel,
    "CornerSearch": attacks.corner_search,
    "PGD l0+linf": attacks.pgd_l0,
    "SparseFool": attacks.sparsefool,
    "C&W-l0": attacks.cw_l0,
    "StrAttack": attacks.strattack,
    "SAPF": attacks.sapf,
}
# Steps that a laptop can afford. SAPF's is the shortest schedule that loses nothing (T = 200); the other numbers leave
# each attack about as many passes as SAPF has. PGD's published step is made for ε = 1: with so few steps it would be a
# rival of straw. CornerSearch cannot change more than n_max pixels, and the published n_max is below the k here.
_LAPTOP = {
    "One-Pixel": {"population": 50, "generations": 20},
    "CornerSearch": {"doublings": 0, "n_max": 1500, "n_iter": 200, "increment": 60},
    "PGD l0+linf": {"max_iterations": 40, "restarts": 1, "search_steps": 8, "step": 0.03},
    "SparseFool": {},
    "C&W-l0": {"initial_const": 1e-2, "max_iterations": 50, "largest_const": 100.0},
    "StrAttack": {
        "search_steps": 4,
        "max_iterations": 200,
        "more_iterations": 0,
        "refine_steps": 4,
        "refine_iterations": 50,
    },
    "SAPF": {"initial_weight": 0.1, "search_steps": 3, "inner_iterations": 200},
}
_BUDGETS = {"laptop": _LAPTOP, "published": {name: {} for name in _LAPTOP} | {"SAPF": {"initial_weight": 1e-3}}}
_BOUNDED = ("CornerSearch", "PGD l0+linf", "SAPF")  # by k


def config(method: str, k: int | Tensor, budget: str, shown: str = "", **options) -> AttackConfig:
    """One row of Table 1.

    Parameters
    ----------
    method : str
        As printed.
    k : int or Tensor (pairs,)
        Entries that may change; C&W-l0, which has no such bound, stops once it changes no more than k.
    budget : str
        "laptop" or "published".
    shown : str
        The row's name, where it is one of ours.
    options
        Further arguments of the attack.
    """
    hyper = _BUDGETS[budget][method] | options
    each = {"k": k} if method in _BOUNDED and isinstance(k, Tensor) else {}
    if method in _BOUNDED and not each:
        hyper["k"] = k
    return AttackConfig(shown or method, "", _ATTACKS[method], hyper, each)


def references(budget: str, k: int, end: bool = True) -> list[AttackConfig]:
    """The attacks that choose l0 by themselves, C&W-l0 stopped at k entries: where the printed row must be from.

    By its own rule C&W-l0 goes on to a few pixels that change a lot (`end`, a row of ours); the printed row has a fifth
    of all entries.
    """
    chosen = [config("StrAttack", k, budget), config("C&W-l0", k, budget, stop_at=k)]
    chosen += [config("C&W-l0", k, budget, END)] if end else []
    return [*chosen, config("SparseFool", k, budget), config("One-Pixel", k, budget)]


def bounded(budget: str, k: int | Tensor) -> list[AttackConfig]:
    """The attacks that may change k entries."""
    return [config(method, k, budget) for method in ("SAPF", "PGD l0+linf", "CornerSearch")]


def selections(budget: str, k: int | Tensor) -> list[AttackConfig]:
    """SAPF's refinement on supports that were chosen in other ways: rows of ours."""
    return [config("SAPF", k, budget, name, selection=selection) for name, selection in SELECTIONS.items()]


def grouped(k: int, budget: str, group_weight: float, groups: Tensor) -> AttackConfig:
    """SAPF-GS with a weight λ2 on given superpixels (pairs, H, W)."""
    published = {"initial_weight": 1e-2} if budget == "published" else {}
    hyper = _BUDGETS[budget]["SAPF"] | published | {"k": k, "group_weight": group_weight}
    return AttackConfig("SAPF-GS", f"λ2 = {group_weight:g}", attacks.sapf_gs, hyper, {"groups": groups})


def weighted(k: int, budget: str, weighting: str, floor: float) -> AttackConfig:
    """SAPF-VI with one of its weightings; λ0 is calibrated for each pair, because weights change what a λ1 means."""
    hyper = _BUDGETS[budget]["SAPF"] | {"k": k, "initial_weight": None, "weighting": weighting, "floor": floor}
    return AttackConfig("SAPF-VI", weighting, attacks.sapf_vi, hyper)


def levels(setup: Setup, shares: list[float], selections: list[str], budget: str, **options) -> pd.DataFrame:
    """Rows of SAPF with k each of these shares of the entries, after the columns of `run`: share, selection.

    All shares are attacked together, as so many pairs with a k of their own.
    """
    pairs = len(setup.goal)
    k = torch.tensor([max(1, round(share * setup.entries)) for share in shares]).repeat_interleave(pairs)
    many = setup[list(range(pairs)) * len(shares)]
    configs = [config("SAPF", k, budget, selection, selection=selection) for selection in selections]
    rows = run(many, configs, **options)
    by_row = [share for _ in selections for share in shares for _ in range(pairs)]
    return rows.assign(share=by_row, selection=rows["method"])


def run(setup: Setup, configs: list[AttackConfig], **options) -> pd.DataFrame:
    """Rows of `evaluation.grid` on the pairs of a setup, after the columns dataset and target (the class's name)."""
    rows = evaluation.grid(configs, setup.model, setup.chosen.images, setup.goal, ids=setup.chosen.indices, **options)
    targets = [setup.data.labels[t] for t in setup.goal.target.tolist()] * len(configs)
    rows.insert(0, "dataset", setup.setting.dataset)
    return rows.assign(target=targets)


def describe(setting: Setting) -> str:
    """A setting's victim with what it stands in for and its accuracy, as captions say it."""
    about = victims.describe(setting.victim)
    stands = f"stands in for {about.stands_for}, " if about.stands_for else ""
    return f"{setting.victim} ({stands}accuracy {about.quality:.3f})"


def budget_settings(budget: str) -> str:
    """SAPF's S, M, T as captions give them."""
    hyper = {"search_steps": 6, "rounds": 1, "inner_iterations": 2000} | _BUDGETS[budget]["SAPF"]
    return f"S = {hyper['search_steps']}, M = {hyper['rounds']}, T = {hyper['inner_iterations']}"


def reduced(sizes: dict[Setting, Size]) -> str:
    """What is smaller than in the paper: images, targets and steps."""
    parts = []
    for setting, chosen in sizes.items():
        full = {"CIFAR-10": 1000, "ImageNet": 100}[setting.dataset]
        smaller = less((chosen.images, full, "images"), (chosen.targets, 9, "targets"))
        smaller += ["fewer steps"] if chosen.budget == "laptop" else []
        parts += [f"{setting.dataset}: {', '.join(smaller)}"] if smaller else []
    return "; ".join(parts)


def outcome(row) -> str:
    """Norms of one attacked pair, for the text under a picture; `row` is from `itertuples`."""
    lost = "" if row.reached else "not reached\n"
    return f"{lost}ℓ0 {row.l0:.0f}, ℓ1 {row.l1:.2f}\nℓ2 {row.l2:.2f}, ℓ∞ {row.linf:.2f}"
