"""A small vision transformer for 64 x 64 scenes: the stand-in for ViT-B/16."""

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.models.vision_transformer import ConvStemConfig, VisionTransformer

from .blocks import Normalise

PATCH = 8


class SmallViT(VisionTransformer):
    """torchvision's ViT, 96 wide and 3 deep on 8 x 8 patches, with the convolutional stem of Xiao et al. (2021).

    Images (N, 3, H, W) in [0, 1], H = W a multiple of 8 -> logits (N, n). The stem makes it learn from few images.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int, width: int = 96, depth: int = 3):
        channels, height, _ = shape
        stem = [ConvStemConfig(width // 4, 3, 2), ConvStemConfig(width // 2, 3, 2), ConvStemConfig(width, 3, 2)]
        # Three heads: an even number would let eval mode take a fused kernel that has no forward-mode derivative.
        super().__init__(height, PATCH, depth, 3, width, 2 * width, num_classes=outputs, conv_stem_configs=stem)
        if channels != 3:
            raise ValueError(
                f"SmallViT: images have {channels} channels, torchvision's ViT takes 3; repeat the channel"
            )
        self.normalise = Normalise()

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits, with attention written out so that vmap and jvp go through it."""
        with sdpa_kernel(SDPBackend.MATH):
            return super().forward(self.normalise(images))
