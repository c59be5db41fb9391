"""The universal forms of the top-k attacks by name: kUV, and PGD-Uv, TkML-Uv, TkALC-Uv, TkMIA-Uv, MASW-Uv, MADW-Uv.

Each is `universal_top_k` with one inner attack; what they share is said there and in `inner_attack`.
"""

from torch import Tensor

from flipbook.attacks.kfool import RELEASED
from flipbook.universal.inner import inner_attack
from flipbook.universal.top_k import TopKUniversal, universal_top_k


def masw_uv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """MASW-Uv: one perturbation that takes the true labels of all images out of their first k (Su, Wu and Zhu, Alg. 2).

    Parameters
    ----------
    model : callable
        Images (n, channels, H, W) to logits (n, C), in eval mode.
    images : Tensor (N, channels, H, W)
        Training images, in [0, 1].
    present : Tensor (N, C) of 0 and 1
        Their true labels.
    k : int
        Labels of the ranking that are to be free of them.
    max_iterations : int
        Steps of the inner attack, `flipbook.attacks.masw`.
    attack : dict, optional
        Further options of the inner attack, such as its `learning_rate`.
    options
        Of `universal_top_k`: `radius`, `batch_size`, `patience` or `fooling_rate`, `seed` and others.

    Returns
    -------
    TopKUniversal

    Raises
    ------
    ValueError
        For what `universal_top_k` and the inner attack refuse.

    Notes
    -----
    Its inner goal asks also that the true labels are switched off (`hide`).
    """
    return _uv("masw", model, images, present, k, max_iterations, attack, {"hide": True} | options)


def madw_uv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """MADW-Uv: as `masw_uv`, with damped least squares inside (supplement, Alg. S.2)."""
    return _uv("madw", model, images, present, k, max_iterations, attack, {"hide": True} | options)


def tkml_uv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """TkML-Uv (Hu et al. 2021): as `masw_uv` with `flipbook.attacks.tkml` inside; published with `fooling_rate`."""
    return _uv("tkml", model, images, present, k, max_iterations, attack, options)


def tkalc_uv(
    model,
    images: Tensor,
    present: Tensor,
    k: int,
    *,
    correlation: Tensor,
    max_iterations: int = 50,
    attack: dict | None = None,
    **options,
) -> TopKUniversal:
    """TkALC-Uv: as `masw_uv` with `flipbook.attacks.tkalc`, our adaptation, and its correlation of labels (C, C)."""
    return _uv(
        "tkalc", model, images, present, k, max_iterations, {"correlation": correlation} | (attack or {}), options
    )


def tkmia_uv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """TkMIA-Uv: as `masw_uv` with `flipbook.attacks.tkmia`, our adaptation."""
    return _uv("tkmia", model, images, present, k, max_iterations, attack, options)


def pgd_uv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """PGD-Uv: as `masw_uv` with signed steps of 0.005 down MASW's loss per label, without a ball (`inner_attack`)."""
    return _uv("pgd", model, images, present, k, max_iterations, attack, options)


def kuv(
    model, images: Tensor, present: Tensor, k: int, *, max_iterations: int = 50, attack: dict | None = None, **options
) -> TopKUniversal:
    """KUV (Tursynbek et al. 2022): as `masw_uv` with `flipbook.attacks.kfool` inside, both as in kUAP's program.

    There the inner attack starts from the clean image and pushes down the label that is highest on it; published with
    `fooling_rate`. Vectors of attacks from x_i + z that choose that label anew fool fewer other images.
    """
    attack = RELEASED | (attack or {})
    return _uv("kfool", model, images, present, k, max_iterations, attack, {"from_clean": True} | options)


def _uv(
    name: str,
    model,
    images: Tensor,
    present: Tensor,
    k: int,
    max_iterations: int,
    attack: dict | None,
    options: dict,
) -> TopKUniversal:
    inner = inner_attack(name, max_iterations, **(attack or {}))
    return universal_top_k(model, images, present, k, inner, **options)
