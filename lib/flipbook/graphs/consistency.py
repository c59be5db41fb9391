"""Label vectors that make sense: what must go off with a target, and how often an attack leaves no contradiction.

Label vectors are tensors (B, C) of bool, or of 0/1; columns are the labels of a knowledge graph. Everything is batched:
row b may be any image with any target set Ω, so that many target sets are handled at once.
"""

import pandas as pd
import torch
from torch import Tensor

from flipbook import metrics
from flipbook.graphs.graph import KnowledgeGraph


def h(graph: KnowledgeGraph, predictions: Tensor, targets: Tensor) -> Tensor:
    """Ψ = h(Ω, G): the smallest set with Ω that can go off without a contradiction.

    First Ω goes off, with everything on beneath it. Then, from the bottom up, every label above Ω goes off that is on
    and has no child on any more. Nothing is ever switched on.

    Parameters
    ----------
    graph : KnowledgeGraph
        On the predictions' device.
    predictions : Tensor (B, C)
        What is on in the clean images. Where this is globally consistent, so is what Ψ leaves on; elsewhere the rules
        are applied all the same, and contradictions that were there can remain.
    targets : Tensor (B, C), or (C,) for one Ω everywhere
        Ω, which must be on.

    Returns
    -------
    Tensor (B, C) of bool
        Contains Ω and, beyond it, only labels that are on.

    Raises
    ------
    ValueError
        For other numbers of columns than the graph has labels, and for a target that is not predicted on.

    Notes
    -----
    Source: GMLA supplement, Ψ_x = h(Ω_x, G) in Eq. 1. Deviation for predictions that contradict themselves only:
    the authors' program then also switches off siblings, in an order that matters to the result.
    """
    on = _vectors(graph, predictions, "predictions")
    Ω = _beside(graph, on, targets, "targets")
    _require_on(on, Ω, graph.labels)
    Ψ = Ω | (on & (Ω.to(graph.anc) @ graph.anc > 0))
    above = on & (Ω.to(graph.anc) @ graph.anc.T > 0)
    for level in reversed(graph.levels):
        left = (on & ~Ψ).to(graph.kid) @ graph.kid[level].T > 0
        Ψ[:, level] |= above[:, level] & ~left
    return Ψ


def violations(graph: KnowledgeGraph, predictions: Tensor) -> Tensor:
    """Labels that are on although their parent is off, or although they have children and none is on.

    Parameters
    ----------
    graph : KnowledgeGraph
        On the predictions' device.
    predictions : Tensor (B, C)

    Returns
    -------
    Tensor (B, C) of bool

    Raises
    ------
    ValueError
        For other numbers of columns than the graph has labels, logits in place of predictions, and predictions on
        another device than the graph's.

    Notes
    -----
    Source: GMLA's semantic consistency, which the supplement uses without a definition: this is what the authors'
    program tests. With one parent a label, both conditions together equal its recursion. A label that is off never
    violates.
    """
    on = _vectors(graph, predictions, "predictions")
    child_on = on.to(graph.kid) @ graph.kid.T > 0
    parent_off = (~on).to(graph.kid) @ graph.kid > 0
    return on & (parent_off | (graph.inner & ~child_on))


def consistent_at(graph: KnowledgeGraph, predictions: Tensor) -> Tensor:
    """Whether each label is locally consistent: no violation there, above or beneath.

    Parameters
    ----------
    graph : KnowledgeGraph
        On the predictions' device.
    predictions : Tensor (B, C)

    Returns
    -------
    Tensor (B, C) of bool

    Raises
    ------
    ValueError
        As `violations`.

    Notes
    -----
    Source: local consistency at k of the GMLA authors' program: no violation in subtree(k) ∪ ancestors(k), both with k.
    """
    wrong = violations(graph, predictions).to(graph.anc)
    return (wrong @ graph.anc + wrong @ graph.anc.T) == 0


def locally_consistent(graph: KnowledgeGraph, predictions: Tensor, nodes: Tensor) -> Tensor:
    """Whether a label vector is locally consistent at every one of some labels.

    Parameters
    ----------
    graph : KnowledgeGraph
        On the predictions' device.
    predictions : Tensor (B, C)
    nodes : Tensor (B, C), or (C,) for the same labels everywhere

    Returns
    -------
    Tensor (B,) of bool

    Raises
    ------
    ValueError
        As `violations`, for predictions and nodes, and for another number of rows of nodes.

    Notes
    -----
    Source: FR_S of the GMLA authors' program asks for this at the labels of Ω.
    """
    at = consistent_at(graph, predictions)
    return (at | ~_beside(graph, at, nodes, "nodes")).all(1)


def globally_consistent(graph: KnowledgeGraph, predictions: Tensor) -> Tensor:
    """Whether a label vector holds no violation at all.

    Parameters
    ----------
    graph : KnowledgeGraph
        On the predictions' device.
    predictions : Tensor (B, C)

    Returns
    -------
    Tensor (B,) of bool

    Raises
    ------
    ValueError
        As `violations`.

    Notes
    -----
    Source: the GMLA authors' program, which attacks images whose clean predictions are globally consistent.
    """
    return ~violations(graph, predictions).any(1)


def all_off(after: Tensor, targets: Tensor) -> Tensor:
    """Whether no label of Ω is on any more, (B,) of bool: the naive success, which FR_N is the rate of.

    Parameters
    ----------
    after, targets : Tensor (B, C)
        Predictions on the attacked images, and Ω.

    Raises
    ------
    ValueError
        For logits in place of predictions, and shapes that differ.
    """
    after, targets = _alike(after=after, targets=targets)
    return ~(after & targets).any(1)


def flip_rate(before: Tensor, after: Tensor, excluded: Tensor) -> Tensor:
    """Share of the labels outside `excluded` that changed, (B,) of float64; NaN where nothing is outside.

    Parameters
    ----------
    before, after : Tensor (B, C)
        Predictions on the clean and on the attacked images.
    excluded : Tensor (B, C)
        GMLA: Ψ of the clean predictions, for every method, so that labels tied to the targets may go with them. CMLU
        (Eq. 11): Ω.

    Raises
    ------
    ValueError
        For logits in place of predictions, and shapes that differ.
    """
    before, after, excluded = _alike(before=before, after=after, excluded=excluded)
    return ((before != after) & ~excluded).sum(1).double() / (~excluded).sum(1)


def rmsd(images: Tensor, originals: Tensor) -> Tensor:
    """Root of the mean square of the perturbation over all values, in grey levels 0..255, (B,) of float64."""
    return 255 * metrics.mse(images, originals).sqrt()


def measure(
    before: Tensor,
    after: Tensor,
    targets: Tensor,
    graph: KnowledgeGraph | None = None,
    reached: Tensor | None = None,
) -> pd.DataFrame:
    """Measure attacked images one by one.

    Parameters
    ----------
    before, after : Tensor (B, C)
        Predictions on the clean and on the attacked images.
    targets : Tensor (B, C)
        Ω, which must be on before.
    graph : KnowledgeGraph, optional
        Without one (CMLU) nothing is semantic: Ω itself is what may change.
    reached : Tensor (B,) of bool, optional
        Where an attack missed its own goal the image counts as handed back clean, which is what the GMLA authors'
        attacks do. Without it every image counts as attacked.

    Returns
    -------
    DataFrame of B rows
        fr_n, fr_s, fr_s_global (of 0 and 1): all of Ω off; and then locally consistent at Ω; and then globally
        consistent. ntr (NaN where Ω is not off) and ntr_all: share of flipped non-targets, of successes and of all.

    Raises
    ------
    ValueError
        For logits in place of predictions, shapes that differ, and a target that was never on.

    Notes
    -----
    Source: CMLU Eq. 11 for FR_N and NT_R, for FR_S the GMLA authors' program. They average NT_R over all attacked
    images in the GMLA tables (`ntr_all`) and over successes in the CMLU paper (`ntr`).
    """
    before, after, targets = _alike(before=before, after=after, targets=targets)
    if graph is None:  # with one, h looks
        _require_on(before, targets, None)
    if reached is not None:
        if reached.shape != before.shape[:1] or reached.dtype != torch.bool:
            raise ValueError(
                f"reached: {reached.dtype} of shape {tuple(reached.shape)}, must be bool of shape ({len(before)},)"
            )
        after = torch.where(reached[:, None], after, before)
    naive = all_off(after, targets)
    flips = flip_rate(before, after, targets if graph is None else h(graph, before, targets))
    columns = {"fr_n": naive, "ntr": torch.where(naive, flips, torch.nan), "ntr_all": flips}
    if graph is not None:
        columns["fr_s"] = naive & locally_consistent(graph, after, targets)
        columns["fr_s_global"] = naive & globally_consistent(graph, after)
    order = [name for name in ("fr_n", "fr_s", "fr_s_global", "ntr", "ntr_all") if name in columns]
    return pd.DataFrame({name: columns[name].double().cpu().numpy() for name in order})


def over_target_sets(rows: pd.DataFrame, target_set: str = "target_set", by: list[str] | None = None) -> pd.DataFrame:
    """Rate of every target set, then mean and population standard deviation over target sets.

    Parameters
    ----------
    rows : DataFrame
        What `measure` gives, with a column that tells target sets apart; other numbers (SSIM, RMSD) may stand beside.
    target_set : str
        Its name.
    by : list of str, optional
        Columns that part the rows into table rows, such as attack and victim.

    Returns
    -------
    DataFrame
        One row a group: for every measure its mean (same name) and its standard deviation (name_std), both over target
        sets of equal weight; `target_sets` and `images`, how many there are. A set without any success has no `ntr`
        and is left out of that mean.
    """
    by = by or []
    values = rows.select_dtypes("number").columns.difference([target_set, *by], sort=False)
    sets = rows.groupby([*by, target_set], sort=False)
    rates = sets[list(values)].mean().assign(images=sets.size()).reset_index()
    groups = rates.groupby(by, sort=False) if by else rates.assign(_all=0).groupby("_all")
    mean, std = groups[list(values)].mean(), groups[list(values)].std(ddof=0)
    table = mean.join(std.add_suffix("_std")).assign(target_sets=groups.size(), images=groups["images"].sum())
    return table.reset_index(drop=not by)


def _vectors(graph: KnowledgeGraph, tensor: Tensor, name: str) -> Tensor:
    if tensor.ndim != 2 or tensor.shape[1] != len(graph):
        raise ValueError(
            f"{name}: shape {tuple(tensor.shape)}, must be (B, {len(graph)}): one column for each label of graph "
            f"{graph.name!r}"
        )
    on = _on(tensor, name)
    if tensor.device.type != graph.device.type:
        raise ValueError(f"{name} are on {tensor.device}, graph {graph.name!r} is on {graph.device}: use graph.to(...)")
    return on


def _beside(graph: KnowledgeGraph, images: Tensor, tensor: Tensor, name: str) -> Tensor:
    """Labels for each of the images, whether they are given for each or once for all."""
    on = _vectors(graph, tensor.expand(len(images), -1) if tensor.ndim == 1 else tensor, name)
    if len(on) != len(images):
        raise ValueError(
            f"{name}: {len(on)} rows, predictions: {len(images)}: give one row for each image, or (C,) for all"
        )
    return on


def _on(tensor: Tensor, name: str) -> Tensor:
    """Labels that are on, from bool or 0/1: a logit is not 0 where its label is off."""
    if tensor.dtype == torch.bool:
        return tensor
    if tensor.is_floating_point():
        raise ValueError(f"{name}: {tensor.dtype}, must be bool or 0/1: give `logits > 0` for logits")
    if not ((tensor == 0) | (tensor == 1)).all():
        raise ValueError(f"{name}: holds other numbers than 0 and 1: give `logits > 0` for logits")
    return tensor.bool()


def _alike(**vectors: Tensor) -> list[Tensor]:
    """Label vectors by name as bool, all (B, C) of the same size and on one device."""
    (first, model), *_ = vectors.items()
    if model.ndim != 2:
        raise ValueError(f"{first}: shape {tuple(model.shape)}, must be (B, C): a row an image, a column a label")
    for name, tensor in vectors.items():
        if tensor.shape != model.shape:
            raise ValueError(f"{name}: shape {tuple(tensor.shape)}, {first} has {tuple(model.shape)}: make them equal")
        if tensor.device != model.device:
            raise ValueError(f"{name} are on {tensor.device}, {first} on {model.device}: bring them together")
    return [_on(tensor, name) for name, tensor in vectors.items()]


def _require_on(on: Tensor, Ω: Tensor, labels: tuple[str, ...] | None) -> None:
    row, column = (Ω & ~on).nonzero()[:1].T
    if len(row):
        name = repr(labels[int(column)]) if labels else f"label {int(column)}"
        raise ValueError(
            f"targets: {name} is a target of image {int(row)} but is not predicted on there: "
            "only what is on can be hidden; leave this image out"
        )
