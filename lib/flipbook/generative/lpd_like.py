"""LPD-like: a generator trained so that each patch of the attacked image looks like another patch of the clean one."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize, softplus

from flipbook.core.validation import check_counts
from flipbook.generative.network import Trained
from flipbook.generative.training import Training, train

TEMPERATURE = 0.07


def train_lpd(model, images: Tensor, training: Training | None = None, *, patches: int = 16) -> Trained:
    """Train a generator on local differences of patches (after Aich et al., WACV 2023).

    Patches are positions of the layer's maps, with features of norm 1. For random positions i with a random other
    position j each, the loss is the mean of

        -log( exp(q·p / 0.07) / (exp(q·p / 0.07) + exp(q·n / 0.07)) ),   q = x' at i,  p = x at j,  n = x at i,

    plus the cosine between the whole maps of x' and x.

    Parameters
    ----------
    model : nn.Module
        Victim in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    training : Training, optional
    patches : int
        Positions drawn for each image in each epoch, with replacement.

    Returns
    -------
    Trained
        Of method "LPD-like". It knows neither labels nor k. Passes: 2 forward and 1 backward for each image of an
        epoch.

    Raises
    ------
    ValueError
        For what `training.train` refuses, and maps of one position.

    Notes
    -----
    This is not LPD, whose program is not public: its abstract tells of a contrastive loss over local patches of
    mid-layer features, and the rest is ours. Generator and schedule are GAMA's.
    """
    check_counts(patches=patches)

    def objective(clean: Tensor, attacked: Tensor, _index: Tensor, draw: Callable[[int], Tensor]) -> Tensor:
        positions = clean.shape[2] * clean.shape[3]
        if positions < 2:
            raise ValueError("the layer's maps have one position: choose an earlier layer, which has several patches")
        here, there = drawn_positions(draw(2 * patches), positions)
        return sum(terms(clean, attacked, here, there)).mean()

    return train(model, images, objective, training or Training(), "LPD-like", {"patches": patches})


def terms(clean: Tensor, attacked: Tensor, here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Contrastive and global term of every image, (n,) each, from maps (n, c, h, w) and positions (n, patches)."""
    x, moved = (normalize(maps.flatten(2), dim=1) for maps in (clean, attacked))
    q, negative, positive = _at(moved, here), _at(x, here), _at(x, there)
    contrastive = softplus(((q * negative).sum(dim=1) - (q * positive).sum(dim=1)) / TEMPERATURE).mean(dim=1)
    return contrastive, cosine_similarity(attacked.flatten(1), clean.flatten(1), dim=1)


def drawn_positions(draws: Tensor, positions: int) -> tuple[Tensor, Tensor]:
    """Positions (n, patches) from numbers in [0, 1) (n, 2 patches), and for each another one, uniform over the rest."""
    here, further = draws.chunk(2, dim=1)
    here = (here * positions).long()
    return here, (here + 1 + (further * (positions - 1)).long()) % positions


def _at(maps: Tensor, positions: Tensor) -> Tensor:
    """Features (n, c, patches) at positions (n, patches) of flat maps (n, c, h w)."""
    return torch.gather(maps, 2, positions[:, None, :].expand(-1, maps.shape[1], -1))
