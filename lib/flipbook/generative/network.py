"""The generator: from an image to an attacked one within ε of it."""

from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

SLOPE = 0.2  # of leaky ReLU below 0


class Residual(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to what came in."""

    def __init__(self, width: int):
        super().__init__()
        inner, outer = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        self.body = nn.Sequential(*_block(inner), outer, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same shape."""
        return x + self.body(x)


class ImageGenerator(nn.Module):
    """A stem of 7 x 7, two layers of stride 2, residual blocks, two layers that double, tanh brought to [0, 1].

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels after the stem, four times as many in the blocks; 64 in GAMA.
    blocks : int
        Residual blocks; 6 in GAMA.
    """

    def __init__(self, channels: int, width: int, blocks: int):
        super().__init__()
        self.channels, self.width, self.blocks = channels, width, blocks
        w = width, 2 * width, 4 * width
        self.body = nn.Sequential(
            *_block(nn.Conv2d(channels, w[0], 7, 1, 3)),
            *_block(nn.Conv2d(w[0], w[1], 3, 2, 1)),
            *_block(nn.Conv2d(w[1], w[2], 3, 2, 1)),
            *(Residual(w[2]) for _ in range(blocks)),
            *_block(nn.ConvTranspose2d(w[2], w[1], 4, 2, 1)),
            *_block(nn.ConvTranspose2d(w[1], w[0], 4, 2, 1)),
            nn.Conv2d(w[0], channels, 7, 1, 3),
            nn.Tanh(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, H, W) to others in [0, 1]; sides are filled up to multiples of 4, then cut."""
        height, breadth = images.shape[-2:]
        x = pad(images, (0, -breadth % 4, 0, -height % 4), mode="replicate")
        return ((self.body(x) + 1) / 2)[..., :height, :breadth]


def _block(convolution: nn.Module) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(SLOPE)]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained generator, with the bound that it was trained for.

    Attributes
    ----------
    network : ImageGenerator
        In eval mode, without gradients.
    epsilon : float
        ε, the largest change of a pixel, in [0, 1] units.
    method : str
        "GAMA-like" or "LPD-like".
    record : dict
        Settings, and the passes that training cost; no seconds, so that equal trainings have equal digests.
    """

    network: ImageGenerator
    epsilon: float
    method: str
    record: dict = field(default_factory=dict)

    def perturb(self, images: Tensor) -> Tensor:
        """Attacked images, like `images`: within ε of them and in [0, 1]."""
        network, weight = self.network, next(self.network.parameters())
        if (weight.dtype, weight.device) != (images.dtype, images.device):
            network = deepcopy(network).to(images)
        with torch.no_grad():
            return bounded(network(images), images, self.epsilon)


def bounded(made: Tensor, images: Tensor, ε: float) -> Tensor:
    """Clip what a generator made to x - ε .. x + ε and to [0, 1]."""
    low, high = (_within(images + change, images, ε).clamp(0, 1) for change in (-ε, ε))
    return made.clamp(low, high)


def _within(limits: Tensor, images: Tensor, ε: float) -> Tensor:
    """The limits, moved by one float where x ± ε was rounded to further than ε from x."""
    return torch.where((limits - images).abs() > ε, torch.nextafter(limits, images), limits)
