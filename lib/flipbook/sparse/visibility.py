"""How visible a change of each entry of an image is: the weights of SAPF-VI."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flipbook.core.validation import check_choice, check_images, check_positive

WEIGHTINGS = ("uniform", "variance", "variance-mean")


def visibility_weights(images: Tensor, weighting: str = "variance", floor: float = 1e-4) -> Tensor:
    """Weigh entries in flat (and dark) surroundings more than those in busy (and bright) ones.

    Parameters
    ----------
    images : Tensor (N, channels, H, W)
        In [0, 1].
    weighting : {"uniform", "variance", "variance-mean"}
        1, 1 / (σ + floor) or 1 / (σ μ + floor), with σ the standard deviation and μ the mean of the 3 x 3 window around
        the entry, within its channel and cut off at the border.
    floor : float
        Keeps flat windows finite. At 1e-4 one exactly flat window leaves nearly nothing for all textured ones; 1e-2
        gives graded weights.

    Returns
    -------
    Tensor (N, channels, H, W)
        In [0, 1]: every channel of every image is stretched so that its smallest weight is 0 and its largest 1. In a
        channel of one value, or of one weight, all weights are 1.

    Raises
    ------
    ValueError
        For images that `check_images` refuses, an unknown weighting and a floor that is not positive.

    Notes
    -----
    SAPF (Fan et al. 2020), section 3.4. What it calls the variance is the root of the mean square. It asks for weights
    in [0, 1] without saying how; the stretching is its code's, which divides by n - 1 = 8 in σ where the text has 9.
    """
    check_images(images)
    check_choice("weighting", weighting, WEIGHTINGS)
    check_positive(floor=floor)
    if weighting == "uniform" or not len(images):
        return torch.ones_like(images)
    mean, deviation = windows(images.detach())
    raw = 1 / (deviation * (mean if weighting == "variance-mean" else 1) + floor)
    low, high = raw.amin(dim=(2, 3), keepdim=True), raw.amax(dim=(2, 3), keepdim=True)
    spread = high - low
    # Rounding gives windows of one value deviations of about 1e-17 rather than 0, and so differences that mean nothing.
    return torch.where(spread > 1e-9 * high, (raw - low) / spread, 1.0).to(images)


def windows(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every entry's 3 x 3 window, in float64: squares of small differences matter."""
    N, channels, height, width = images.shape
    values = F.unfold(images.double(), 3, padding=1).view(N, channels, 9, height, width)
    inside = F.unfold(images.new_ones(1, 1, height, width).double(), 3, padding=1).view(1, 1, 9, height, width)
    count = inside.sum(dim=2)
    mean = values.sum(dim=2) / count  # what lies outside is padded with 0
    square = ((values - mean[:, :, None]).square() * inside).sum(dim=2) / count
    return mean, square.sqrt()
