"""How often a universal perturbation hides its target set, and what else it changes."""

import inspect
from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from flipbook.core.validation import check_counts
from flipbook.universal import projections
from flipbook.universal.basis import Universal
from flipbook.universal.pool import Pool, check_same_labels, named, target_sets

SETS_AT_ONCE = 64  # perturbations in memory


def evaluate(
    universal: Universal,
    pool: Pool,
    omegas: Iterable,
    *,
    most: int | None = None,
    chunk: int = 256,
    progress: bool = True,
    **options,
) -> pd.DataFrame:
    """Attack, for every target set, the images that the pool's model predicts to contain it.

    Transfer is evaluation on a pool of another victim: images are chosen by the predictions of the model evaluated.

    Parameters
    ----------
    universal : Universal
        What a method returned.
    pool : Pool
        Victim and test images.
    omegas : iterable of target sets
        Labels by number or name, or masks.
    most : int, optional
        Images of a set at most, the first ones of the pool; all by default.
    chunk : int
        Pairs of image and target set a pass; a pair costs one forward pass, clean logits come from the pool.
    progress : bool
        Whether to show a bar.
    options
        Of the universal's `compose_all`, such as projection="clip" for a basis.

    Returns
    -------
    DataFrame with one row a target set
        omega (tuple of label numbers), labels (their names), size, images (|I_Ω|, at most `most`), hidden (|A_Ω|:
        images on which every label of Ω is off), changed (labels outside Ω whose prediction differs, over the images of
        A_Ω), FR in percent (NaN without images) and NT_R in percent (NaN without success).

    Raises
    ------
    ValueError
        For target sets that the universal does not serve, a universal of other labels or images, and options that its
        `compose_all` does not have.

    Notes
    -----
    Exact counts; the released evaluator adds one image to every set and counts NT_R as 0 where nothing succeeded. The
    reference of NT_R is the clean prediction (Eq. 11).
    """
    check_counts(chunk=chunk, most=1 if most is None else most)
    check_same_labels(universal.method, universal.names, pool.names)
    _check_options(universal, options)
    omegas = target_sets(omegas, pool.names)
    members = [pool.containing(omega)[:most] for omega in omegas]
    counts = torch.zeros(2, len(omegas), dtype=torch.int64, device=pool.device)
    with tqdm(
        total=sum(map(len, members)), desc=universal.method, unit="image", disable=not progress, delay=0.5
    ) as bar:
        for first in range(0, len(omegas), SETS_AT_ONCE):
            block = slice(first, first + SETS_AT_ONCE)
            vectors = universal.compose_all(omegas[block], **options).to(pool.device, pool.images.dtype)
            _check_shape(vectors, pool)
            counts[:, block] = _count(pool, vectors, omegas[block], members[block], chunk, bar)
    hidden, changed = counts.tolist()
    table = pd.DataFrame(
        {
            "omega": omegas,
            "labels": [named(omega, pool.names) for omega in omegas],
            "size": [len(omega) for omega in omegas],
            "images": [len(index) for index in members],
            "hidden": hidden,
            "changed": changed,
        }
    )
    others = (pool.labels - table["size"]).astype(float)
    table["FR"] = 100 * table["hidden"] / table["images"].where(table["images"] > 0)
    table["NT_R"] = 100 * table["changed"] / (table["hidden"] * others).where(table["hidden"] * others > 0)
    return table


def _count(pool: Pool, vectors: Tensor, omegas, members: list[Tensor], chunk: int, bar: tqdm) -> Tensor:
    """Count hidden images and changed labels, (2, n) of int64."""
    counts = torch.zeros(2, len(omegas), dtype=torch.int64, device=pool.device)
    target, index = pool.mask(omegas), torch.cat(members)
    sizes = torch.tensor([len(part) for part in members], device=pool.device)
    owner = torch.arange(len(omegas), device=pool.device).repeat_interleave(sizes)
    for rows, own in zip(index.split(chunk), owner.split(chunk), strict=True):
        if not len(rows):  # no set of this block has an image
            continue
        with torch.no_grad():
            on = pool.net(projections.apply(pool.take(rows), vectors[own])) > 0
        hidden = ~(on & target[own]).any(dim=1)  # A_Ω of Eq. 11
        changed = ((on != pool.present[rows]) & ~target[own]).sum(dim=1) * hidden
        counts.index_add_(1, own, torch.stack([hidden.long(), changed]))
        bar.update(len(rows))
    return counts


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return unweighted means over the target sets of each size.

    Returns
    -------
    DataFrame indexed by |Ω|
        FR, FR_std, NT_R, NT_R_std (sample standard deviation over sets; NaN for a single one), sets (with images),
        sets_hit (with a success: those that NT_R averages over) and images (pairs of image and set).
    """
    groups = table[table["images"] > 0].groupby("size")
    return pd.DataFrame(
        {
            "FR": groups["FR"].mean(),
            "FR_std": groups["FR"].std(),
            "NT_R": groups["NT_R"].mean(),
            "NT_R_std": groups["NT_R"].std(),
            "sets": groups.size(),
            "sets_hit": groups["NT_R"].count(),
            "images": groups["images"].sum(),
        }
    )


def _check_options(universal: Universal, options: dict) -> None:
    known = [name for name in inspect.signature(universal.compose_all).parameters if name != "omegas"]
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise ValueError(
            f"{universal.method} has no option {unknown!r}: its compose_all takes "
            f"{', '.join(known) or 'none'}; leave {unknown!r} out"
        )


def _check_shape(vectors: Tensor, pool: Pool) -> None:
    if tuple(vectors.shape[1:]) != pool.shape:
        raise ValueError(f"vectors have shape {tuple(vectors.shape[1:])}, the images {pool.shape}: make them equal")
