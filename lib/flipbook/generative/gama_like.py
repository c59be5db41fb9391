"""GAMA-like: a generator trained against features of a victim, with random vectors where GAMA has CLIP's."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from flipbook.core import per_image_random
from flipbook.generative.network import Trained
from flipbook.generative.training import Training, pooled, train
from flipbook.goals import as_mask

MARGIN = 0.2  # of the contrastive term


def train_gama(model, images: Tensor, labels: Tensor, training: Training | None = None) -> Trained:
    """Train a generator for images that show several objects (after Aich et al., NeurIPS 2022).

    With z and z' the pooled features of x and of the attacked x', of norm 1, the loss is (a + b + c) / 3 of

        a   contrastive, max(0, |z' - t|² - |z' - z|² + 0.2): towards a text t, away from the clean image,
        b   -mean (z' - e)²: away from the image's embedding e,
        c   the cosine between feature maps of x' and x, each position weighted by its share of the clean map's energy.

    Parameters
    ----------
    model : nn.Module
        Victim in eval mode.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    labels : Tensor (N, C) of 0 and 1
        What they show; images without a label are refused.
    training : Training, optional

    Returns
    -------
    Trained
        Of method "GAMA-like". It knows no k: one generator serves all. Passes: 2 forward and 1 backward for each image
        of an epoch.

    Raises
    ------
    ValueError
        For what `training.train` refuses, and labels that do not fit.

    Notes
    -----
    This is not GAMA: CLIP is not used. The text embedding of a pair of labels ("a photo depicts A and B") is a random
    vector of norm 1 that depends on the pair alone, of the features' dimension; an image's embedding is the mean of its
    pairs', again of norm 1. So the embeddings know which images share labels but not what anything looks like or means.
    An image with one label has the pair of it with itself. t is, as in GAMA, the text of the batch that is least
    similar to e, where each image puts in one of its pairs at random.
    """
    labels = as_mask(labels, "labels")
    if len(labels) != len(images):
        raise ValueError(f"labels speak of {len(labels)} images, the batch has {len(images)}: make them equal")
    if (empty := (~labels.any(dim=1)).nonzero().flatten()).numel():
        raise ValueError(f"image {int(empty[0])} has no label: leave such images out")
    training = training or Training()
    labels, pairs = labels.to(images.device), {}

    def objective(clean: Tensor, attacked: Tensor, index: Tensor, draw: Callable[[int], Tensor]) -> Tensor:
        if not pairs:
            pairs[0] = pair_embeddings(labels.shape[1], clean.shape[1], training.seed).to(clean)
        e = image_embeddings(labels[index], pairs[0])
        texts = pairs[0][drawn_pairs(labels[index], draw(labels.shape[1])).unbind(dim=1)]
        t = texts[(e @ texts.T).argmin(dim=1)]
        return sum(terms(clean, attacked, t, e)).mean() / 3

    return train(model, images, objective, training, "GAMA-like")


def terms(clean: Tensor, attacked: Tensor, t: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three terms of every image, (n,) each, from maps (n, c, h, w) and embeddings (n, c)."""
    z, moved = pooled(clean), pooled(attacked)
    contrastive = ((moved - t).square().sum(dim=1) - (moved - z).square().sum(dim=1) + MARGIN).clamp(min=0)
    energy = clean.square().sum(dim=1, keepdim=True)
    attention = energy / energy.sum(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(energy.dtype).tiny)
    alike = cosine_similarity((attention * attacked).flatten(1), (attention * clean).flatten(1), dim=1)
    return contrastive, -(moved - e).square().mean(dim=1), alike


def pair_embeddings(labels: int, dimension: int, seed: int) -> Tensor:
    """A random vector of norm 1 for each pair of labels in either order, (C, C, dimension) of float64."""
    i = torch.arange(labels)
    lower, upper = torch.minimum(i[:, None], i), torch.maximum(i[:, None], i)
    keys = per_image_random.keys(torch.zeros(1, 1), seed) ^ (lower * 2**32 + upper).flatten()
    return normalize(per_image_random.normal(keys, dimension, 0), dim=1).view(labels, labels, dimension)


def image_embeddings(labels: Tensor, pairs: Tensor) -> Tensor:
    """Mean of the embeddings of an image's pairs of different labels, of norm 1, (n, c)."""
    on = labels.to(pairs)
    both = on[:, :, None] * on[:, None, :]
    several = (labels.sum(dim=1) > 1)[:, None]
    both = torch.where(several[:, :, None], both - torch.diag_embed(on), both)
    return normalize(torch.einsum("nij,ijc->nc", both, pairs), dim=1)


def drawn_pairs(labels: Tensor, draws: Tensor) -> Tensor:
    """Return the two labels of each image (n, 2) with the largest numbers (n, C); the only one twice."""
    value, chosen = draws.masked_fill(~labels, -1.0).sort(dim=1, descending=True)
    first, last = chosen[:, 0], chosen[:, :2][:, -1]
    return torch.stack([first, torch.where(value[:, :2][:, -1] < 0, first, last)], dim=1)
