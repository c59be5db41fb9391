"""A small convolutional classifier for single-label images: stands in for the one-hot VGG16 and the many-class ViT."""

from torch import Tensor, nn

from .blocks import Normalise, convolution


class SmallCNN(nn.Module):
    """Four 3 x 3 convolutions of stride 1, 2, 2, 2, average pool, linear layer: (N, channels, H, W) -> (N, classes)."""

    def __init__(self, shape: tuple[int, int, int], outputs: int, widths: tuple[int, ...] = (16, 32, 64, 128)):
        super().__init__()
        layers = map(convolution, (shape[0], *widths), widths, (1, 2, 2, 2))
        self.features = nn.Sequential(Normalise(), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits."""
        return self.head(self.features(images))
