"""Which images the top-k attacks of the MASW paper start from, what they aim at, and how large a perturbation is.

The same for every attack, and drawn per image like everything of `companion.sampling.choice`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from companion.sampling.choice import Selection, draws, looked_at
from flipbook.core.validation import check_choice
from flipbook.goals import INF

CASES = ("best", "random", "worst")


@dataclass(frozen=True)
class Ranked:
    """Images whose labels the model ranks without a mistake.

    Attributes
    ----------
    chosen : Selection
    looked_at : int
        Images that were gone through to find them.
    exact : int
        How many of these have all true labels on top.
    left_out : int
        How many of these have too few other labels for the largest k, and were left out.
    """

    chosen: Selection
    looked_at: int
    exact: int
    left_out: int

    @property
    def present(self) -> Tensor:
        """Y, the true labels, (n, C) of bool."""
        return self.chosen.targets.bool()


def select(model, dataset, n: int, k: int, seed: int = 0) -> Ranked:
    """Draw n images whose average precision over labels is exactly 1, with at least k labels outside Y.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    dataset : data set of `companion.datasets`
        Gone through in an order drawn from `seed`.
    n : int
        Images wanted; a smaller n gives the beginning of the same list.
    k : int
        The largest k that they are to be attacked at: C - |Y| >= k, else no attack can succeed.

    Raises
    ------
    ValueError
        When n is not positive or the data set holds fewer such images.

    Notes
    -----
    Source: MASW, section V-A ("correctly classified"), read as its program has it. That takes the first images in the
    order of the files, and tests the clean image itself while it attacks tanh of it; here it is one and the same.
    """
    found, seen, exact, left_out = [], 0, 0, 0
    for indices, images, targets, logits in looked_at(model, dataset, n, seed):
        present = targets.bool()
        first = ranked_first(logits, present)
        enough = (~present).sum(dim=1) >= k
        seen, exact, left_out = seen + len(indices), exact + int(first.sum()), left_out + int((first & ~enough).sum())
        rows = (first & enough).nonzero().flatten().tolist()
        found += [(indices[i], images[i], targets[i], logits[i]) for i in rows]
        if len(found) >= n:
            return Ranked(Selection.of(found[:n]), seen, exact, left_out)
    raise ValueError(
        f"images: {n} asked, {dataset.name} ({dataset.split}) has {len(found)} with all true labels on top and {k} "
        "others; ask for fewer"
    )


def ranked_first(logits: Tensor, present: Tensor) -> Tensor:
    """Whether every true label is above every other, (N,) of bool: average precision 1. False without a true label."""
    lowest = logits.masked_fill(~present, INF).amin(dim=1)
    return (lowest > logits.masked_fill(present, -INF).amax(dim=1)) & present.any(dim=1)


def targets(logits: Tensor, present: Tensor, k: int, case: str, indices: list[int], seed: int = 0) -> Tensor:
    """Y_t, k labels that an image does not have, (n, C) of bool.

    Parameters
    ----------
    logits : Tensor (n, C)
        On the clean images.
    present : Tensor (n, C) of bool
        Y.
    k : int
        Labels an image.
    case : {"best", "random", "worst"}
        Of the labels outside Y those with the largest logits, any, or those with the smallest.
    indices : list of n int
        Places in the data set; with `seed` they key the draw of the random case.

    Raises
    ------
    ValueError
        For another case, and where an image has fewer than k labels outside Y.

    Notes
    -----
    Source: MASW, section V-A. Its program starts the same generator anew for every image, so that nearly all random
    targets are alike; here each image has its own.
    """
    check_choice("case", case, CASES)
    if (short := ((~present).sum(dim=1) < k).nonzero().flatten()).numel():
        raise ValueError(
            f"targets: image {indices[int(short[0])]} has fewer than {k} labels that it lacks: leave it out"
        )
    if case == "random":
        keys = [torch.from_numpy(draws(seed, index).random(logits.shape[1])) for index in indices]
        scores = torch.stack(keys)
    else:
        scores = logits if case == "best" else -logits
    order = scores.masked_fill(present, -INF).argsort(dim=1, descending=True, stable=True)
    return torch.zeros_like(present).scatter_(1, order[:, :k], True)


def pert(l2, height: int, width: int):
    """Size of a perturbation as the tables print it, in units of 1e-2.

    Parameters
    ----------
    l2 : float, array or Tensor
        Norm on images in [0, 1].
    height, width : int

    Notes
    -----
    Source: MASW, Eq. 27. The printed numbers are 255 ||z|| / (H W) with z on [-1, 1], twice as long as here, H W
    without the channels. The paper measures z before the tanh of its program, which makes it some 1.4 times as long.
    """
    return 100 * 510 * l2 / (height * width)
