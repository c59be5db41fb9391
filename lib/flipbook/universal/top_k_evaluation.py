"""What a universal top-k perturbation does to images that it was not learnt on."""

import pandas as pd
import torch
from torch import Tensor

from flipbook.core.batch import l2_norm
from flipbook.core.validation import check_inputs
from flipbook.goals import TopKExcludes
from flipbook.universal.top_k import TopKUniversal


def evaluate_top_k(
    universal: TopKUniversal, model, images: Tensor, present: Tensor, k: int | None = None, *, chunk: int = 256
) -> pd.DataFrame:
    """Measure x + z, clipped to [0, 1], on images X_v; two forward passes an image.

    Parameters
    ----------
    universal : TopKUniversal
        What `universal_top_k` or `load` returned.
    model : callable
        Images (n, channels, H, W) to logits (n, C), in eval mode; another victim's for transfer.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    present : Tensor (N, C) of 0 and 1
        Y, their true labels.
    k : int, optional
        By default the one that z was learnt for.
    chunk : int
        Images a pass.

    Returns
    -------
    DataFrame with N rows
        asr, sasr, lfr and sac (`TopKExcludes.measures`), asr_clean (whether the image is fooled without z), l2 (norm of
        what the box leaves of z on this image) and norm (of z, the one that MASW's Eq. 27 is about; `ranked.pert` makes
        the printed number of it). The paper's numbers are means of the columns.

    Raises
    ------
    ValueError
        For inputs that `check_inputs` refuses, another image shape and images whose labels leave no k others.
    """
    goal = TopKExcludes(present, universal.k if k is None else k)
    check_inputs(model, images, goal)
    attacked = universal.apply(images)
    with torch.no_grad():
        before, after = (torch.cat([model(part) for part in each.split(chunk)]) for each in (images, attacked))
    columns = goal.measures(before, after) | {"asr_clean": goal.reached(before), "l2": l2_norm(attacked - images)}
    table = pd.DataFrame({name: values.double().cpu().numpy() for name, values in columns.items()})
    return table.assign(norm=universal.perturbation.double().norm().item())
