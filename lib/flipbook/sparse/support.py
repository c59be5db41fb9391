"""Where a sparse perturbation r = x' - x lies: entries, superpixels, flat and dark surroundings."""

import torch
from torch import Tensor

from flipbook.core.validation import check_choice
from flipbook.metrics import CHANGED
from flipbook.solvers.lp_box import group_norms, largest_entries
from flipbook.sparse.visibility import windows


def support(perturbations: Tensor) -> Tensor:
    """Entries that changed by more than rounding, bool of the same shape."""
    return perturbations.abs() > CHANGED


def strongest(perturbations: Tensor, share: float) -> Tensor:
    """The entries of largest |r|, `share` of each perturbation (N, channels, H, W), ties by index; bool."""
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}: it must be above 0 and at most 1")
    count = max(1, round(share * perturbations[0].numel()))
    return largest_entries(perturbations.abs(), torch.full((len(perturbations),), count, device=perturbations.device))


def touched(perturbations: Tensor, groups: Tensor) -> Tensor:
    """Number of superpixels with a changed entry, (N,); `groups` (N, H, W) numbers them from 0."""
    return (_norms(perturbations, groups) > 0).sum(dim=1)


def group_norm(perturbations: Tensor, groups: Tensor) -> Tensor:
    """Σ_i ||G^i||_2 of the selection G over superpixels i, (N,): what SAPF's group term weighs (Eq. 16)."""
    return _norms(perturbations, groups).sum(dim=1)


def share_in_quarter(marked: Tensor, images: Tensor, by: str) -> Tensor:
    """Share of the marked entries that lie in the flattest or darkest quarter of their image, (N,); 1/4 by chance.

    Parameters
    ----------
    marked : Tensor (N, channels, H, W) of bool
    images : Tensor (N, channels, H, W)
        In [0, 1].
    by : {"flat", "dark"}
        Quarter of smallest standard deviation, or mean, of the 3 x 3 windows around the entries.
    """
    check_choice("by", by, ("flat", "dark"))
    mean, deviation = windows(images)
    level = (deviation if by == "flat" else mean).flatten(1)
    quarter = level.argsort(dim=1, stable=True)[:, : level.shape[1] // 4]
    inside = marked.flatten(1).gather(1, quarter).sum(dim=1)
    return inside / marked.flatten(1).sum(dim=1).clamp(min=1)


def _norms(perturbations: Tensor, groups: Tensor) -> Tensor:
    return group_norms(support(perturbations).double(), groups, int(groups.max()) + 1)
