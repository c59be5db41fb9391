"""Models, goals and short settings that every attack is tried with."""

import torch
from scipy.linalg import hadamard

from flipbook.goals import ClassTarget, HideLabels, LabelVector
from tests.affine import SmallNet, mid_grey, random_affine

CODE = torch.tensor(hadamard(8)[:5], dtype=torch.float64)
GOALS = ("labels", "hidden", "one-hot", "codebook")
MODELS = ("affine", "cnn")

PENALTY = {"search_steps": 3, "max_iterations": 33, "initial_weight": 1.0, "learning_rate": 0.05}
SIGNS = {"bound": 0.2, "step": 0.02, "max_iterations": 40}
FACTORS = {"k": 60, "initial_weight": 0.3, "search_steps": 3, "inner_iterations": 30, "leave_early": True}
ROUNDS = {"search_steps": 3, "max_iterations": 12, "more_iterations": 2, "refine_steps": 2, "refine_iterations": 8}
SHORT = {
    "apgd": SIGNS,
    "cw_l0": {"initial_const": 0.3, "largest_const": 5, "max_iterations": 8, "learning_rate": 0.05, "shrink": 1.5},
    "corner_search": {"k": 60, "n_iter": 40, "increment": 2, "n_max": 60},
    "cw_l2": PENALTY,
    "ecoc_attack": PENALTY,
    "gmla": SIGNS,
    "ml_cw": PENALTY,
    "ml_deepfool": {"max_iterations": 10},
    "mla_c": SIGNS,
    "jma": {"kappa": 1e-3, "max_iterations": 20},
    "lots": {"step": 0.02, "max_iterations": 40},
    "mla_lp": {"max_iterations": 6},
    "one_pixel": {"pixels": 12, "population": 30, "generations": 20},
    "pgd_l0": {"k": 54, "search_steps": 4, "bisections": 2, "restarts": 2, "max_iterations": 12, "step": 0.1},
    "sapf": FACTORS,
    "sapf_gs": FACTORS | {"segments": 4, "group_weight": 0.1},
    "sapf_vi": FACTORS | {"floor": 1e-2},
    "mla_u": SIGNS,
    "sparsefool": {"bound_doublings": 2, "max_iterations": 6, "deepfool_steps": 20},
    "strattack": ROUNDS,
}


def model_named(name, goal):
    outputs = 8 if goal == "codebook" else 6
    return random_affine(outputs=outputs) if name == "affine" else SmallNet(outputs=outputs)


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
    codebook = CODE if kind == "codebook" else None
    order = (z.tanh() @ CODE.T if kind == "codebook" else z).argsort(dim=1, descending=True)
    return x, ClassTarget(torch.where(there, order[:, 0], order[:, 1]), codebook)


def settings(name, goal, outputs):
    """Hyper-parameters that make a run short, and what an attack needs besides."""
    if name != "lots":
        return SHORT[name]
    aim = goal.bitwise()
    signs = aim.signs if hasattr(aim, "signs") else 2.0 * torch.nn.functional.one_hot(aim.target, outputs)
    return SHORT[name] | {"target_logits": 2.0 * signs.double()}


def sliced(options, index):
    """The same settings for some of the images."""
    return {k: v[index] if isinstance(v, torch.Tensor) else v for k, v in options.items()}
