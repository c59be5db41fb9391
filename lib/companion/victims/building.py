"""From a victim's recipe to its untrained network."""

from torch import Tensor, nn

from .carlini import CarliniNet
from .catalogue import Recipe
from .cnn import SmallCNN
from .codes import hadamard
from .ecoc import EcocEnsemble
from .ml_decoder import MLDecoder
from .ml_gcn import MLGCN
from .resnet import SmallResNet

ARCHITECTURES = {
    "resnet": SmallResNet,
    "cnn": SmallCNN,
    "ecoc": EcocEnsemble,
    "carlini": CarliniNet,
    "ml-decoder": MLDecoder,
    "ml-gcn": MLGCN,
}


def network(recipe: Recipe) -> nn.Module:
    """Untrained network for images of recipe.shape in [0, 1]; returns logits (N, recipe.outputs)."""
    if recipe.architecture == "vit":
        from .vit import SmallViT  # built on torchvision's, which takes seconds to import

        return SmallViT(recipe.shape, recipe.outputs)
    return ARCHITECTURES[recipe.architecture](recipe.shape, recipe.outputs)


def code(recipe: Recipe) -> Tensor | None:
    """Codebook (classes, n) of +-1 of an ECOC victim, None for the others."""
    return hadamard(recipe.code, recipe.classes) if recipe.code else None
