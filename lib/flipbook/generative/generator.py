"""A generator of perturbations for images of any size, conditioned on a code of labels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

START = 8  # the first feature map is at most so high and wide


class Generator(nn.Module):
    """Linear layer to a small map, then transposed convolutions (kernel 4, stride 2) that double it up to the image.

    Batch norm and ReLU follow every layer but the last, tanh the last one; the number of channels halves each time,
    down to 32. What is too large in the end is cut.

    Parameters
    ----------
    inputs : int
        Length of noise plus code.
    shape : (channels, H, W)
        Of the images.
    width : int
        Channels of the first map.

    Notes
    -----
    The released generator has transposed convolutions of several kernels without padding and serves 448 x 448 only.
    """

    def __init__(self, inputs: int, shape: tuple[int, int, int], width: int):
        super().__init__()
        channels, height, breadth = shape
        doublings = max(1, (max(-(-height // START), -(-breadth // START)) - 1).bit_length())
        self.sides = height, breadth
        self.start = width, -(-height // 2**doublings), -(-breadth // 2**doublings)
        self.linear = nn.Linear(inputs, width * self.start[1] * self.start[2])
        layers: list[nn.Module] = [nn.BatchNorm2d(width), nn.ReLU()]
        for _ in range(doublings - 1):
            narrower = max(32, width // 2)
            layers += [nn.ConvTranspose2d(width, narrower, 4, 2, 1), nn.BatchNorm2d(narrower), nn.ReLU()]
            width = narrower
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())

    def forward(self, code: Tensor) -> Tensor:
        """Noise and code (n, inputs) to (n, channels, H, W) in [-1, 1]."""
        x = self.body(self.linear(code).view(-1, *self.start))
        return x[..., : self.sides[0], : self.sides[1]]


def fresh(inputs: int, shape: tuple[int, int, int], width: int, seed: int, like: Tensor) -> Generator:
    """Return a generator whose weights depend on the seed alone; see `seeded`."""
    return seeded(lambda: Generator(inputs, shape, width), seed, like)


def seeded(build: Callable[[], nn.Module], seed: int, like: Tensor) -> nn.Module:
    """Build a network whose weights depend on the seed alone: normal, deviation 0.02, batch norm at 1 and 0."""
    with torch.device("meta"):  # PyTorch's own initialisation would draw from the global generator
        net = build()
    net = net.to_empty(device="cpu")
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.weight.fill_(1.0)
                module.bias.zero_()
            elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                module.weight.normal_(0.0, 0.02, generator=chance)
                module.bias.zero_()
    return net.to(like)
