"""A small ML-Decoder: label queries look at the trunk's feature map through one layer of cross-attention."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .resnet import WIDTHS, SmallResNet

GROUPS = 100  # queries at most, as published; with more labels each query answers for several
HEADS = 4


class MLDecoder(SmallResNet):
    """SmallResNet whose head is a `DecoderHead`: images (N, channels, H, W) in [0, 1] -> logits (N, n)."""

    def __init__(self, shape: tuple[int, int, int], outputs: int):
        super().__init__(shape, outputs)
        self.head = DecoderHead(WIDTHS[-1], outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits."""
        return self.head(self.maps(images)[-1])


class DecoderHead(nn.Module):
    """Feature map (N, width, h, w) -> logits (N, n): cross-attention, feed-forward, group decoding.

    Each of k = ceil(n / ceil(n / groups)) queries attends to the h w places, is refined by a feed-forward layer, and
    gives the logits of a group of ceil(n / k) consecutive labels, each by its own dot product and bias.

    Source: Ridnik et al., ML-Decoder, WACV 2023, section 2.3 (no self-attention between queries, group decoding).
    Deviations: four attention heads and layers as wide as the feature map instead of eight and 768; no projection of
    the queries, which are learnt and can hold it; no dropout.
    """

    def __init__(self, width: int, outputs: int, groups: int = GROUPS):
        super().__init__()
        self.outputs, share = outputs, -(-outputs // groups)
        queries = -(-outputs // share)
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.keys, self.values, self.mix = (nn.Linear(width, width) for _ in range(3))
        self.attended, self.refined = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.weights = nn.Parameter(torch.randn(queries, share, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Feature map to logits."""
        places = maps.flatten(2).mT
        found = self.attended(self.queries + self.mix(self._look(places)))
        found = self.refined(found + self.feed(found))
        return torch.einsum("nkd,ksd->nks", found, self.weights).flatten(1)[:, : self.outputs] + self.bias

    def _look(self, places: Tensor) -> Tensor:
        """What each query sees among the places (N, h w, width): (N, queries, width)."""
        queries, keys, values = (
            part.unflatten(-1, (HEADS, -1)).transpose(-3, -2)
            for part in (self.queries.expand(len(places), -1, -1), self.keys(places), self.values(places))
        )
        with sdpa_kernel(SDPBackend.MATH):  # plain products, which vmap, jvp and a second derivative go through
            seen = F.scaled_dot_product_attention(queries, keys, values)
        return seen.transpose(-3, -2).flatten(-2)
