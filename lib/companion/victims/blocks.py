"""What the small victims share: input normalisation, the convolution block, and folding batch norm away."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Normalise(nn.Module):
    """Shift and scale images of [0, 1] channel by channel, so that attacks see pixel units only.

    mean, std: one number for every channel, or a sequence with one per channel.
    """

    def __init__(self, mean=0.5, std=0.25):
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W) in [0, 1] to zero-centred ones of the same shape."""
        return (images - self.mean) / self.std


def convolution(channels: int, width: int, stride: int = 1, kernel: int = 3, groups: int = 1, relu: bool = True):
    """Convolution, batch norm and (out of place, as torch.func wants it) ReLU; H and W shrink by `stride`.

    torchvision has the same block, but takes seconds to import, which every notebook would wait for.
    """
    layers = [
        nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(width),
    ]
    return nn.Sequential(*layers, *[nn.ReLU()] * relu)


def fold(net: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place: same outputs in eval mode, fewer operations.

    Weight files hold the folded form, so an attack pays for convolutions only.
    """
    net.eval()
    for module in net.modules():
        parts = list(module) if isinstance(module, nn.Sequential) else []
        if [type(part) for part in parts[:2]] == [nn.Conv2d, nn.BatchNorm2d]:
            module[0] = fuse_conv_bn_eval(module[0], module[1])
            module[1] = nn.Identity()
    return net


def parameter_count(net: nn.Module) -> int:
    """Count the scalars among the parameters of `net`."""
    return sum(parameter.numel() for parameter in net.parameters())
