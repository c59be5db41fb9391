"""How good a victim is: mean average precision, or accuracy of its decision."""

import torch
from torch import Tensor, nn

from .codes import decode


def quality(logits: Tensor, targets: Tensor, codebook: Tensor | None = None) -> float:
    """Return mAP (mean over labels) for targets (N, n) of 0/1, accuracy for class indices (N,); both in [0, 1].

    logits (N, n); with a codebook (classes, n) the decision is the best correlated codeword. Labels that no image
    has are left out of the mean.
    """
    if targets.ndim == 1:
        decision = logits.argmax(1) if codebook is None else decode(logits, codebook)
        return (decision == targets).double().mean().item()
    from torchmetrics.functional.classification import multilabel_average_precision  # a second to import

    seen = targets.bool().any(0)
    return multilabel_average_precision(logits[:, seen].double(), targets[:, seen].long(), int(seen.sum())).item()


@torch.no_grad()
def predict(net: nn.Module, images: Tensor, batch: int = 256) -> Tensor:
    """Return logits (N, n) of images, uint8 of 0...255 or floats, a batch at a time, on the network's device."""
    device = next(net.parameters()).device
    return torch.cat([net(as_floats(part.to(device))).float().cpu() for part in images.split(batch)])


def as_floats(images: Tensor) -> Tensor:
    """uint8 of 0...255 to float32 in [0, 1]; floats stay as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
