"""Trained victims by name: networks, records and codebooks."""

from pathlib import Path

import torch
from safetensors.torch import load as parse
from torch import Tensor, nn

from companion import datasets, paths

from . import abstract, building, catalogue, paper, table
from .blocks import fold
from .frozen import FrozenBackboneMLP


def names() -> list[str]:
    """Names of all victims: the small ones, and those that the reader listed under DATA_ROOT."""
    return catalogue.names() + list(paper.listed())


def describe(name: str, folder: Path | None = None) -> table.Victim:
    """Return a trained victim's record (`table.Victim`): dataset, architecture, metric, quality, file, sha256, ..."""
    listed = paper.listed()
    if name in listed:
        return listed[name]
    if name in paper.EXPECTED:
        dataset, architecture = paper.EXPECTED[name]
        raise FileNotFoundError(
            f"victim {name!r}, torchvision's {architecture} on {dataset}, needs weights of yours: list them with "
            f"companion.victims.register({name!r}, 'weights.pt')"
        )
    if name not in catalogue.names():
        raise KeyError(catalogue.unknown(name, names()))
    rows = table.read(folder)
    if name not in rows and folder is None and not table.path().is_file() and not paths.NOTEBOOKS.is_dir():
        raise FileNotFoundError(
            f"the weights of victim {name!r} are no part of the installed package: clone the repository and set "
            f"FLIPBOOK_DATA to its folder data (they are looked for in {paths.VICTIMS})"
        )
    if name not in rows:
        raise FileNotFoundError(
            f"victim {name!r} has not been trained yet (no row in {(folder or paths.VICTIMS) / table.TABLE}): "
            "make it with ./run_all.sh victims --force"
        )
    return rows[name]


def codebook(name: str) -> Tensor | None:
    """Codewords (classes, n) of +-1 of an ECOC victim, None for the others. Needs no weights."""
    listed = paper.listed()
    if name in listed:
        return paper.codebook(listed[name])
    if name not in catalogue.names():
        raise KeyError(catalogue.unknown(name, names()))
    return building.code(catalogue.recipe(name))


def labels(name: str) -> list[str]:
    """Names of what a victim's logits stand for: its data set's labels, then the abstract nodes that it knows."""
    recipe = catalogue.RECIPES.get(name)
    if recipe and recipe.abstract:
        return abstract.labels(recipe.dataset)
    return datasets.load(recipe.dataset if recipe else describe(name).dataset, "test").labels


def targets(name: str, given: Tensor) -> Tensor:
    """Targets of a victim's data set in the order of its logits: label vectors gain the abstract nodes it knows."""
    recipe = catalogue.RECIPES.get(name)
    return abstract.extended(recipe.dataset, given) if recipe and recipe.abstract else given


def load(name: str, device: str | torch.device = "cpu", folder: Path | None = None) -> nn.Module:
    """Return a trained victim: images (N, channels, H, W) in [0, 1] to logits (N, n).

    In eval mode, parameters frozen, normalisation inside. The weight file's sha256 is checked first.
    folder: where the table and the weights are, data/victims by default.

    Raises KeyError for an unknown name, FileNotFoundError for missing weights, ValueError for a wrong hash or device.
    """
    device = usable(device)
    victim = describe(name, folder)
    net = paper.load(victim) if name in paper.listed() else _small(victim, folder or paths.VICTIMS)
    # Convolutions on a CPU are about a seventh faster where an image's channels lie side by side.
    layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
    return net.eval().requires_grad_(False).to(device, memory_format=layout)


def usable(device: str | torch.device) -> torch.device:
    """Return the device, or refuse in one line a name that torch does not know or that this machine lacks."""
    try:
        return torch.zeros(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError):
        cuda = "cuda" if torch.cuda.is_available() else "no cuda on this machine"
        raise ValueError(f"device is {str(device)!r}, it must be one that torch finds here: cpu ({cuda})") from None


def _small(victim: table.Victim, folder: Path) -> nn.Module:
    recipe = catalogue.recipe(victim.name)
    state = parse(table.checked(victim, folder))
    if recipe.architecture == "frozen-mlp":
        net, part = with_head(recipe, folder, victim.backbone)
    else:
        net = part = fold(building.network(recipe))
    part.load_state_dict({key: value.float() for key, value in state.items()})
    return net


def with_head(recipe: catalogue.Recipe, folder: Path, trained_on: str | None = None) -> tuple[nn.Module, nn.Module]:
    """Frozen backbone with an untrained head, and that head. trained_on: sha256 that the backbone's file must have."""
    if trained_on is not None and describe(catalogue.BACKBONE, folder).sha256 != trained_on:
        raise ValueError(
            f"the head of {recipe.name!r} was trained on another {catalogue.BACKBONE} than the one in {folder}: "
            "train both again with ./run_all.sh victims --force"
        )
    net = FrozenBackboneMLP(load(catalogue.BACKBONE, folder=folder), recipe.outputs)
    return net, net.head


def pretrained(recipe: catalogue.Recipe, folder: Path) -> nn.Module:
    """Network to train on, its trunk a copy of the backbone's (batch norm folded away) and its head untrained."""
    net, backbone = fold(building.network(recipe)), load(catalogue.BACKBONE, folder=folder)
    trunk = {key: value for key, value in backbone.state_dict().items() if not key.startswith("head.")}
    net.load_state_dict(net.state_dict() | trunk)
    return net.train().requires_grad_(True)  # folding leaves the new biases without gradients
