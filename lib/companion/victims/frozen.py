"""A frozen backbone with a small trained head: the stand-in for CLIP features + MLP."""

import torch
from torch import Tensor, nn

from .resnet import SmallResNet


def features(backbone: SmallResNet, images: Tensor) -> Tensor:
    """Image embedding (N, d) of a trained trunk: the last two stages, averaged and maximised over the image."""
    maps = backbone.maps(images)[-2:]
    return torch.cat([pool(m) for m in maps for pool in (_mean, _max)], 1)


def _mean(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


def _max(maps: Tensor) -> Tensor:
    return maps.amax((2, 3))


def feature_count(backbone: SmallResNet) -> int:
    """Length d of the embedding."""
    return 2 * sum(stage.body[1][0].out_channels for stage in backbone.stages[-2:])


class Head(nn.Sequential):
    """Multi-layer perceptron with one hidden layer: embedding (N, d) -> logits (N, n)."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 256):
        super().__init__(nn.LayerNorm(inputs), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class FrozenBackboneMLP(nn.Module):
    """Images (N, channels, H, W) in [0, 1] -> logits (N, n); only the head is ever trained or stored."""

    def __init__(self, backbone: SmallResNet, outputs: int):
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)
        self.head = Head(feature_count(backbone), outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits."""
        return self.head(features(self.backbone, images))
