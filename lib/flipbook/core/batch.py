"""Small things that every batched attack needs."""

from torch import Tensor


def batch_view(value: Tensor, like: Tensor) -> Tensor:
    """Reshape one number an image, (N,), so that it multiplies images (N, channels, H, W)."""
    return value.view(-1, *[1] * (like.ndim - 1))


def l2_norm(images: Tensor) -> Tensor:
    """Euclidean norm of every image, (N,)."""
    return images.flatten(1).norm(dim=1)
