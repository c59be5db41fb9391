"""Measures of one perturbation: images in [0, 1] of shape (N, channels, H, W) in, one float64 value an image out."""

import torch
from torch import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # (K L)² for a data range L of 1
CHANGED = 1e-6


def _difference(images: Tensor, originals: Tensor) -> Tensor:
    """δ = x' - x as (N, m) in float64."""
    if images.shape != originals.shape:
        raise ValueError(
            f"images: shape {tuple(images.shape)} differs from the originals' {tuple(originals.shape)}; "
            "pass the perturbed images and the originals in the same order"
        )
    if images.ndim != 4:
        raise ValueError(f"images: shape {tuple(images.shape)}, must be (N, channels, H, W); add a batch axis")
    return (images.double() - originals.double()).flatten(1)


def mse(images: Tensor, originals: Tensor) -> Tensor:
    """Mean square of the perturbation, ‖δ‖₂² / m with m = channels · H · W.

    Deviation: JMA section VI-C prints ‖δ‖₂ / √m, but its tables hold the mean square.
    """
    return _difference(images, originals).square().mean(1)


def psnr(images: Tensor, originals: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, -10 log₁₀(MSE) for a peak of 1; infinite for an unchanged image."""
    return -10 * torch.log10(mse(images, originals))


def ssim(images: Tensor, originals: Tensor) -> Tensor:
    """Structural similarity, at most 1: Gaussian window 11 x 11, σ = 1.5, data range 1, mean over channels.

    Source: Wang et al. 2004, Eq. 13, K₁ = 0.01, K₂ = 0.03; the variant is our choice, since no paper states its own.
    Border rule: only windows that lie wholly inside the image count, as in Wang's program and in scikit-image
    (`gaussian_weights=True, use_sample_covariance=False`); so H and W must be at least 11.
    """
    _difference(images, originals)
    height, width = images.shape[-2:]
    if min(height, width) < SSIM_WINDOW:
        raise ValueError(
            f"images: {height}x{width} pixels, must be at least {SSIM_WINDOW}x{SSIM_WINDOW} for SSIM; use MSE"
        )
    x, y = images.double(), originals.double()
    down, across = _blur(height, x.device), _blur(width, x.device)
    # Two matrix products in place of a convolution in float64, for which a CPU has no fast way.
    # Products of equal images round by their place in memory; of differences, equal images leave 0 and so exactly 1.
    μ_x, μ_y, squares, distances = down @ torch.stack([x, y, x * x + y * y, (x - y) ** 2]) @ across.T
    apart = (μ_x - μ_y) ** 2
    variances = squares - (μ_x * μ_x + μ_y * μ_y)
    mean = 1 - apart / (μ_x * μ_x + μ_y * μ_y + SSIM_C1)  # (2 μ_x μ_y + C1) / (μ_x² + μ_y² + C1)
    spread = 1 - (distances - apart) / (variances + SSIM_C2)  # (2 σ_xy + C2) / (σ_x² + σ_y² + C2)
    return (mean * spread).flatten(1).mean(1)


def _blur(size: int, device: torch.device) -> Tensor:
    """Gaussian weighting along one side as a matrix (size - 10, size): each row one place of the window."""
    steps = torch.arange(SSIM_WINDOW, dtype=torch.float64, device=device) - SSIM_WINDOW // 2
    window = torch.exp(-(steps**2) / (2 * SSIM_SIGMA**2))
    places = size - SSIM_WINDOW + 1
    matrix = torch.zeros(places, size, dtype=torch.float64, device=device)
    for k, weight in enumerate(window / window.sum()):
        matrix[range(places), range(k, k + places)] = weight
    return matrix


def l0(images: Tensor, originals: Tensor) -> Tensor:
    """Count the changed values ‖δ‖₀, of m = channels · H · W; a change of up to 1e-6 is rounding."""
    return (_difference(images, originals).abs() > CHANGED).double().sum(1)


def l1(images: Tensor, originals: Tensor) -> Tensor:
    """Sum of the absolute changes ‖δ‖₁ in [0, 1] pixel units."""
    return _difference(images, originals).abs().sum(1)


def l2(images: Tensor, originals: Tensor) -> Tensor:
    """Euclidean length ‖δ‖₂ in [0, 1] pixel units."""
    return _difference(images, originals).norm(dim=1)


def linf(images: Tensor, originals: Tensor) -> Tensor:
    """Largest change of a value ‖δ‖_∞ in [0, 1] pixel units."""
    return _difference(images, originals).abs().amax(1)


def outside_box(images: Tensor) -> Tensor:
    """Whether an image leaves [0, 1] or is not finite, (N,) bool."""
    flat = images.flatten(1)
    return ~((flat >= 0) & (flat <= 1)).all(1)


def to_8bit(images: Tensor) -> Tensor:
    """Return the images as a file with 256 grey levels would hold them: round(255 x) / 255."""
    return to_levels(images, 256)


def to_levels(images: Tensor, levels: int) -> Tensor:
    """Return the images on the nearest of so many grey levels, which go from 0 to 1 in equal steps."""
    top = levels - 1
    return (images.clamp(0, 1) * top).round() / top
