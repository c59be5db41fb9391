"""What ASR would be by MASW's Eq. 25 as printed, on the AFD of Eq. 1, beside complete success.

By Eq. 1 an attack fails where Y lies in the first k labels, or they in Y. As soon as one label of several is out of the
first k neither holds, so that this ASR is never below SASR; in the paper's tables it nearly always is.
"""

import pandas as pd
import torch
from torch import Tensor

from companion.papers.masw import experiments as paper
from flipbook.goals import top_k

METHODS = ("FGSM", "PGD", "ML-C&W", "TkML", "MASW")


def asr_eq1(present: Tensor, logits: Tensor, k: int) -> Tensor:
    """Whether AFD (Eq. 1) is 0, (N,) of bool: neither Y within the first k labels nor these within Y.

    Parameters
    ----------
    present : Tensor (N, C) of bool
        Y.
    logits : Tensor (N, C)
        Of the attacked images.
    k : int
    """
    first = top_k(logits, k)
    inside, around = ~(present & ~first).any(dim=1), ~(first & ~present).any(dim=1)
    return ~(inside | around)


def rates(setup: paper.Setup, k: int, methods: tuple[str, ...] = METHODS) -> pd.DataFrame:
    """The three rates of untargeted attacks with the tables' settings, in percent over the scene's images.

    Returns
    -------
    DataFrame
        A line a method: method, ASR by Eq. 1, ASR, SASR.
    """
    lines = []
    for name in methods:
        config = paper.config(setup, name, ("", k))
        attacked = config.attack(setup.model, setup.images, config.goal, **config.hyper).images
        with torch.no_grad():
            before, after = setup.model(setup.images), setup.model(attacked)
        measures = config.goal.measures(before, after)
        eq1 = asr_eq1(setup.present, after, k)
        values = {"ASR by Eq. 1": eq1, "ASR": measures["asr"], "SASR": measures["sasr"]}
        lines.append({"method": name} | {what: 100 * value.double().mean().item() for what, value in values.items()})
    return pd.DataFrame(lines)
