"""The ensemble with error-correcting output codes: a shared bottom and one branch per bit, all branches in one go."""

from torch import Tensor, nn

from .blocks import Normalise, convolution


class EcocEnsemble(nn.Module):
    """Images (N, channels, H, W) -> n logits, one per bit of the code; the activated output is tanh of each.

    The bottom (two convolutions) is shared; then every bit has a branch of its own (two convolutions and a linear
    layer), so a bit's logit depends on its branch and the bottom only. The n branches are the groups of grouped
    convolutions: one batched computation instead of n small networks.

    Source: JMA, section VI-A, and its code (16 and 32 one-bit branches). Deviation: the bottom is trained together
    with the branches, not taken from a classifier and frozen; two convolutions a part instead of VGG16's blocks.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int, width: int = 8, bottom: tuple[int, int] = (16, 32)):
        super().__init__()
        channels, height, _ = shape
        every, side = outputs * width, -(-height // 8)
        self.bottom = nn.Sequential(
            Normalise(), convolution(channels, bottom[0]), convolution(bottom[0], bottom[1], stride=2)
        )
        self.branches = nn.Sequential(
            convolution(bottom[1], every, stride=2), convolution(every, every, stride=2, groups=outputs)
        )
        self.bits = nn.Conv2d(every, outputs, side, groups=outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to one logit per bit, (N, n)."""
        return self.bits(self.branches(self.bottom(images))).flatten(1)
