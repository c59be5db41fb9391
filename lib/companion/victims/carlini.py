"""The CIFAR-10 network of Carlini and Wagner, which the SAPF paper attacks too."""

import torch
from torch import Tensor, nn

from .blocks import Normalise


class CarliniNet(nn.Module):
    """Four 3 x 3 convolutions, two maximum pools, three dense layers: (N, channels, H, W) -> (N, outputs).

    Source: Carlini and Wagner 2017, Table 1; SAPF, section 4.1 ("four convolutional layers, three fully-connected
    layers and two max-pooling layers"). 1,147,978 parameters for 3 x 32 x 32 images and 10 classes.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int):
        super().__init__()
        channels, height, width = shape
        pixels = ((height - 4) // 2 - 4) // 2 * (((width - 4) // 2 - 4) // 2)
        self.features = nn.Sequential(
            Normalise(mean=0.5, std=1.0),
            *self._pair(channels, 64),
            *self._pair(64, 128),
            nn.Flatten(),
        )
        self.head = nn.Sequential(
            nn.Linear(128 * pixels, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256), nn.ReLU(),
            nn.Linear(256, outputs),
        )  # fmt: skip
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        # Training on a CPU, too, is a fifth faster so; this network is the costliest of the small victims.
        self.to(memory_format=torch.channels_last)

    @staticmethod
    def _pair(channels: int, width: int) -> tuple[nn.Module, ...]:
        return nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits."""
        return self.head(self.features(images))
