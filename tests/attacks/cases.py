"""Models, goals and short settings that every attack is tried with."""

import torch
from scipy.linalg import hadamard

from flipbook.goals import ClassTarget, HideLabels, LabelVector, TopKEquals, TopKExcludes
from tests.affine import SmallNet, mid_grey, random_affine

CODE = torch.tensor(hadamard(8)[:5], dtype=torch.float64)
GOALS = ("labels", "hidden", "one-hot", "codebook", "excluded", "ranked")
TOP_K = ("excluded", "ranked")
FITS = {"kfool": ("excluded",), "tkalc": TOP_K, "tkmia": TOP_K, "tkml": TOP_K}  # goals of attacks that do not take all
MODELS = ("affine", "cnn")

PENALTY = {"search_steps": 3, "max_iterations": 33, "initial_weight": 1.0, "learning_rate": 0.05}
SIGNS = {"bound": 0.2, "step": 0.02, "max_iterations": 40}
DESCENT = {"radius": 2.0, "learning_rate": 0.01, "max_iterations": 40}
FACTORS = {"k": 60, "initial_weight": 0.3, "search_steps": 3, "inner_iterations": 30, "leave_early": True}
ROUNDS = {"search_steps": 3, "max_iterations": 12, "more_iterations": 2, "refine_steps": 2, "refine_iterations": 8}
SHORT = {
    "apgd": SIGNS,
    "cw_l0": {"initial_const": 0.3, "largest_const": 5, "max_iterations": 8, "learning_rate": 0.05, "shrink": 1.5},
    "corner_search": {"k": 60, "n_iter": 40, "increment": 2, "n_max": 60},
    "cw_l2": PENALTY,
    "ecoc_attack": PENALTY,
    "fgsm": {"bound": 0.2},
    "gmla": SIGNS,
    "ml_cw": PENALTY,
    "ml_deepfool": {"max_iterations": 10},
    "mla_c": SIGNS,
    "jma": {"kappa": 1e-3, "max_iterations": 20},
    "madw": {"radius": 2.0, "max_iterations": 10},
    "masw": DESCENT,
    "ml_cw_descent": DESCENT,
    "kfool": {"max_iterations": 20, "overshoot": 0.02},
    "lots": {"step": 0.02, "max_iterations": 40},
    "mla_lp": {"max_iterations": 6},
    "mi_fgsm": {"bound": 0.2, "max_iterations": 20},
    "one_pixel": {"pixels": 12, "population": 30, "generations": 20},
    "pgd": {"bound": 0.2, "step": 0.02, "max_iterations": 40},
    "pgd_l0": {"k": 54, "search_steps": 4, "bisections": 2, "restarts": 2, "max_iterations": 12, "step": 0.1},
    "rank_i": DESCENT,
    "sapf": FACTORS,
    "sapf_gs": FACTORS | {"segments": 4, "group_weight": 0.1},
    "sapf_vi": FACTORS | {"floor": 1e-2},
    "mla_u": SIGNS,
    "sparsefool": {"bound_doublings": 2, "max_iterations": 6, "deepfool_steps": 20},
    "strattack": ROUNDS,
    "tkalc": DESCENT,
    "tkmia": DESCENT,
    "tkml": DESCENT,
}


def model_named(name, goal):
    outputs = 8 if goal == "codebook" else 6
    return random_affine(outputs=outputs) if name == "affine" else SmallNet(outputs=outputs)


def goals_of(name):
    """Kinds of goals that an attack takes."""
    return FITS.get(name, GOALS)


def images_and_goal(model, kind, n=6):
    """Images of which the third has its goal reached already, and nothing else in common."""
    x = mid_grey(n)
    z = model(x)
    there = torch.arange(n) == 2
    if kind in ("labels", "hidden"):
        present, g = z > 0, torch.Generator().manual_seed(3)
        change = (torch.rand(z.shape, generator=g) < 0.3) & ~there[:, None]
        change[~there, 1] = True
        if kind == "labels":
            return x, LabelVector(present ^ change)
        hidden = change | (~present & (torch.rand(z.shape, generator=g) < 0.2))
        return x, HideLabels(hidden, ~hidden & present & (torch.rand(z.shape, generator=g) < 0.5))
    if kind in TOP_K:
        return x, _top_two(z, there, kind)
    codebook = CODE if kind == "codebook" else None
    order = (z.tanh() @ CODE.T if kind == "codebook" else z).argsort(dim=1, descending=True)
    return x, ClassTarget(torch.where(there, order[:, 0], order[:, 1]), codebook)


def _top_two(z, there, kind):
    """The first two labels are not to be there (of the third image they are not), or two others are to come first."""
    order = z.argsort(dim=1, descending=True)
    empty = torch.zeros_like(z, dtype=torch.bool)
    own, best, next_ = (order[:, i] for i in (slice(0, 1), slice(0, 2), slice(1, 3)))
    if kind == "excluded":
        return TopKExcludes(empty.scatter(1, torch.where(there[:, None], order[:, 4:], best), True), 2)
    target = empty.scatter(1, torch.where(there[:, None], best, next_), True)
    return TopKEquals(target, 2, present=empty.scatter(1, torch.where(there[:, None], order[:, 5:], own), True))


def narrowed(goal):
    """The goal for a model with four labels."""
    if isinstance(goal, TopKExcludes | TopKEquals):
        return TopKExcludes(torch.eye(4)[torch.arange(len(goal)) % 4], 2)
    return LabelVector(goal.target[:, :4])


def settings(name, goal, outputs):
    """Hyper-parameters that make a run short, and what an attack needs besides."""
    if name == "tkalc":
        return SHORT[name] | {"correlation": torch.rand(outputs, outputs, generator=torch.Generator().manual_seed(4))}
    if name != "lots":
        return SHORT[name]
    aim = goal.per_label()
    signs = aim.signs if hasattr(aim, "signs") else 2.0 * torch.nn.functional.one_hot(aim.target, outputs)
    return SHORT[name] | {"target_logits": 2.0 * signs.double()}


def sliced(options, index):
    """The same settings for some of the images."""
    return {k: v[index] if k == "target_logits" else v for k, v in options.items()}
