"""Universal perturbations for target sets of labels: one vector a set, or a basis that any set is composed from.

    train, test = Pool(model, images, names), Pool(model, other_images, names)
    basis = cmlu_beta(train, labels, Training(epochs=10, images=40, batch=10))
    table = evaluate(basis, test, omegas)           # FR and NT_R of each target set

An image used for the target set Ω is one that the model predicts to contain all of Ω; the attack turns Ω off and keeps
every other prediction. Source: Mahmood and Elhamifar, Compositional Targeted Multi-Label Universal Perturbations,
CVPR 2025, and the baselines compared there.

    z = masw_uv(model, images, present, 3, radius=5.0)
    table = evaluate_top_k(z, model, other_images, their_labels)        # ASR, SASR, LFR, SAC and norms

makes one perturbation that takes the true labels of all images out of their first k: Su, Wu and Zhu, Multi-label
Adversarial Attack with New Measures and Self-paced Constraint Weighting. The baselines compared there are `kuv` and
`pgd_uv`, `tkml_uv`, `tkalc_uv`, `tkmia_uv`, `madw_uv`; `universal_top_k` makes such a perturbation out of any attack on
a ranking, of which `inner_attack` has those named.
"""

from flipbook.universal.basis import Basis, Mixture, PerSet
from flipbook.universal.choosing import choose_labels, choose_sets
from flipbook.universal.cmlu import cmlu_alpha, cmlu_beta
from flipbook.universal.evaluation import evaluate, summarise
from flipbook.universal.inner import inner_attack
from flipbook.universal.nag import nag
from flipbook.universal.or_c import or_c
from flipbook.universal.oracle import or_s, oracle
from flipbook.universal.plane import plane
from flipbook.universal.pool import Pool
from flipbook.universal.sga import sga
from flipbook.universal.storing import load, save
from flipbook.universal.top_k import TopKUniversal, universal_top_k
from flipbook.universal.top_k_evaluation import evaluate_top_k
from flipbook.universal.training import Training
from flipbook.universal.uv import kuv, madw_uv, masw_uv, pgd_uv, tkalc_uv, tkmia_uv, tkml_uv

__all__ = [
    "Basis",
    "Mixture",
    "PerSet",
    "Pool",
    "TopKUniversal",
    "Training",
    "choose_labels",
    "choose_sets",
    "cmlu_alpha",
    "cmlu_beta",
    "evaluate",
    "evaluate_top_k",
    "inner_attack",
    "kuv",
    "load",
    "madw_uv",
    "masw_uv",
    "nag",
    "or_c",
    "or_s",
    "oracle",
    "pgd_uv",
    "plane",
    "save",
    "sga",
    "summarise",
    "tkalc_uv",
    "tkmia_uv",
    "tkml_uv",
    "universal_top_k",
]
