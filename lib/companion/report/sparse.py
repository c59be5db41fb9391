"""Pictures of sparse perturbations: what changed, in which direction, and where."""

import torch
from torch import Tensor

MARK = (0.9, 0.05, 0.35)  # crimson, which few photographs have


def signed(perturbation: Tensor, largest: float | None = None) -> Tensor:
    """Mid-grey where nothing changed, towards black or white where a value fell or rose: ½ + r / (2 max |r|).

    Parameters
    ----------
    perturbation : Tensor (channels, H, W)
        r = x' - x.
    largest : float, optional
        Change that is drawn black or white; one number for pictures that are compared. By default their own max |r|.
    """
    largest = float(perturbation.abs().max()) if largest is None else largest
    return (0.5 + perturbation / (2 * max(largest, 1e-12))).clamp(0, 1)


def highlight(image: Tensor, where: Tensor, colour: tuple[float, float, float] = MARK) -> Tensor:
    """The image (channels, H, W) in pale grey, with the pixels `where` (H, W) painted in one colour, (3, H, W)."""
    pale = 0.45 + 0.5 * image.mean(dim=0)
    paint = torch.tensor(colour).to(image).view(3, 1, 1)
    return torch.where(where, paint, pale.expand(3, *pale.shape))


def outlined(image: Tensor, groups: Tensor) -> Tensor:
    """The image (3, H, W) with the borders between groups (H, W), superpixels for example, drawn in white."""
    border = torch.zeros_like(groups, dtype=torch.bool)
    border[:, 1:] |= groups[:, 1:] != groups[:, :-1]
    border[1:] |= groups[1:] != groups[:-1]
    return torch.where(border, 1.0, image)
