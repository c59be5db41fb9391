"""What a universal perturbation is trained on: labels to turn off, and labels whose prediction must stay."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

FORMS = ("code", "paper")


def terms(a: Tensor, z: Tensor, target: Tensor, held: Tensor, form: str = "code") -> tuple[Tensor, Tensor]:
    """Attack term and drift term of every image (Eqs. 1 and 2), both to be minimised.

    Parameters
    ----------
    a : Tensor (n, C)
        Logits of the attacked images.
    z : Tensor (n, C)
        Logits of the clean ones, constants.
    target : Tensor (n, C) of bool
        Ω, the labels to turn off; all of them are on in z.
    held : Tensor (n, C) of bool, or of weights in [0, 1]
        N_b, the labels whose prediction must stay.
    form : str
        "code": mean over Ω of softplus(a), the cross-entropy towards "absent", which dies out after success.
        "paper": sum over Ω of -softplus(-a), Eq. 1 as printed, which goes on pushing images that are fooled already.

    Returns
    -------
    attack : Tensor (n,)
    drift : Tensor (n,)
        Σ over N_b of max(0, -tanh(z a)): exactly 0, without gradient, while the signs agree; its gradient
        -z sech²(z a) dies out once a label is flipped far.
    """
    if form == "code":
        attack = torch.where(target, softplus(a), 0).sum(dim=1) / target.sum(dim=1)
    else:
        attack = torch.where(target, -softplus(-a), 0).sum(dim=1)  # Eq. 1, its sign turned
    return attack, (held * torch.relu(-(z * a).tanh())).sum(dim=1)


def weights(held: Tensor, group: Tensor, groups: int, kappa: float) -> tuple[Tensor, Tensor]:
    """What the two terms of every image count in the loss of its group.

        loss of a group = mean of its images' attack terms + κ · (sum of drift terms) / (sum of |N_b|)

    Parameters
    ----------
    held : Tensor (n, C)
        N_b of the images, as in `terms`.
    group : Tensor (n,) of int64
        Which vector an image trains, 0 .. groups - 1.
    groups : int
        Number of vectors.
    kappa : float
        κ >= 0, weight of the drift.

    Returns
    -------
    Tensor (n,), Tensor (n,) of float64
        Weights of the attack and of the drift terms. The sum of the weighted terms over any split of the images gives
        each group's loss.

    Notes
    -----
    The paper has three different weights (Eq. 6, Eq. 8 and the set-up); this is the released code's, but with the
    number of images that are really there.
    """
    labels = held.sum(dim=1).double()
    images, held_labels = (labels.new_zeros(groups) for _ in range(2))
    images.index_add_(0, group, torch.ones_like(labels))
    held_labels.index_add_(0, group, labels)
    return 1 / images[group], kappa / held_labels.clamp(min=1)[group]
