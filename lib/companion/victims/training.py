"""Train a victim and add it to the table."""

import time
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor, nn

from companion import datasets, paths

from . import building, catalogue, loading, losses, table
from .blocks import fold, parameter_count
from .frozen import features
from .ml_gcn import adjacency
from .quality import as_floats, predict, quality

RARE = -3.0  # multi-label logits start here: most labels are absent, which need not be learned first
SPLITS = ("train", "validation", "test")
Pair = tuple[Tensor, Tensor]


def train(
    name: str,
    device: str | torch.device = "cpu",
    epochs: int | None = None,
    images: int | None = None,
    folder: Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Train a victim by its recipe, store it, and return its history (epoch, train_loss, validation, seconds).

    epochs, images (of the training split): fewer for a trial, by default what the recipe says. folder: where weights,
    history and table row go, data/victims by default; they are written at the end, so a training that is stopped
    leaves the earlier victim as it was. The quality in the table is measured on the test split with the weights as
    stored (matrices and kernels rounded to 16 bits). A head and a pretrained victim need the backbone: train
    pictograms268-resnet first.
    """
    recipe, device, folder = catalogue.recipe(name), loading.usable(device), Path(folder or paths.VICTIMS)
    for what, value in (("epochs", epochs), ("images", images)):
        if value is not None and not (isinstance(value, int) and value > 0):
            raise ValueError(f"{what} of the training of {name!r} is {value!r}, it must be a positive whole number")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, part = _untrained(recipe, folder)
        data = {split: _pixels(recipe, split, images or recipe.images, progress) for split in SPLITS}
        if recipe.architecture == "ml-gcn":
            net.head.adjacency.copy_(adjacency(data["train"][1]))
        began = time.perf_counter()
        history = _fit(recipe, net, part, data, epochs or recipe.epochs, device, progress)
        if recipe.pretrained:
            pixels, targets = data["validation"]
            _bias(recipe, part).data -= best_threshold(predict(net.eval(), pixels), targets)
        seconds = time.perf_counter() - began
    state = rounded(fold(part).state_dict())
    part.load_state_dict({key: value.float() for key, value in state.items()})
    measured = quality(predict(net.eval(), data["test"][0]), data["test"][1], building.code(recipe))
    weights = save(state)
    victim = _row(recipe, weights, measured, parameter_count(net), seconds, folder)
    table.record(victim, weights, history.to_csv(index=False, lineterminator="\n"), folder)
    return history


def rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State as stored: matrices and kernels in 16 bits, the few vectors (biases, norms) in full."""
    return {key: (value.half() if value.ndim > 1 else value).cpu().contiguous() for key, value in state.items()}


def _untrained(recipe: catalogue.Recipe, folder: Path) -> tuple[nn.Module, nn.Module]:
    """Whole network, and the part of it that is trained and stored."""
    if recipe.architecture == "frozen-mlp":
        net, part = loading.with_head(recipe, folder)
    else:
        net = part = loading.pretrained(recipe, folder) if recipe.pretrained else building.network(recipe)
    if recipe.metric == "mAP":
        nn.init.constant_(_bias(recipe, part), RARE)
    return net, part


def _bias(recipe: catalogue.Recipe, part: nn.Module) -> Tensor:
    """Bias of the logits: the last parameter with one number for each."""
    return [value for value in part.parameters() if value.shape == (recipe.outputs,)][-1]


def best_threshold(logits: Tensor, targets: Tensor) -> float:
    """Threshold of the logits (N, n) with the best F1 over all images and labels, targets (N, n) of 0 and 1.

    The asymmetric loss leaves most errors on the side of labels that are absent: at 0 its victims would see many that
    are not there, and abstract labels without anything beneath them.
    """
    ordered, order = logits.flatten().sort(descending=True, stable=True)
    right = targets.flatten()[order].cumsum(0)
    F1 = 2 * right / (torch.arange(1, len(right) + 1) + right[-1])
    best = F1[:-1].argmax()
    return ordered[best : best + 2].mean().item()


def _pixels(recipe: catalogue.Recipe, split: str, images: int, progress: bool) -> Pair:
    ds = datasets.load(recipe.dataset, split=split)
    chosen = range(min(images, len(ds))) if split == "train" else None
    pixels, targets = datasets.tensors(ds, chosen, progress=progress)
    return pixels, loading.targets(recipe.name, targets)


def _fit(recipe, net, part, data: dict[str, Pair], epochs, device, progress) -> pd.DataFrame:
    from .fitting import fit  # Lightning takes seconds to import: only who trains waits for it

    used = {split: data[split] for split in ("train", "validation")}
    if part is not net:  # the backbone is frozen: embed each image once
        net.to(device)
        used = {split: (embed(net.backbone, pixels), targets) for split, (pixels, targets) in used.items()}
    codebook = building.code(recipe)
    loss = {
        "bce": losses.binary,
        "asymmetric": losses.asymmetric,
        "cross-entropy": losses.cross_entropy,
        "hinge": partial(losses.hinge, codebook=codebook),
    }[recipe.loss]
    measure = partial(quality, codebook=codebook)
    part.to(memory_format=torch.channels_last)  # a fifth faster on CPUs
    settings = (epochs, recipe.rate, device, recipe.augment, progress)
    history = fit(part, loss, measure, used["train"], used["validation"], *settings)
    net.to("cpu", memory_format=torch.contiguous_format)
    return history


@torch.no_grad()
def embed(backbone: nn.Module, pixels: Tensor, batch: int = 256) -> Tensor:
    """Embeddings (N, d) of uint8 images, a batch at a time."""
    device = next(backbone.parameters()).device
    return torch.cat([features(backbone, as_floats(part.to(device))).cpu() for part in pixels.split(batch)])


def _row(recipe: catalogue.Recipe, weights: bytes, measured: float, parameters: int, seconds: float, folder: Path):
    frozen = recipe.architecture == "frozen-mlp"
    return table.Victim(
        name=recipe.name,
        file=f"{recipe.name}.safetensors",
        sha256=table.digest(weights),
        dataset=recipe.dataset,
        stands_for=recipe.stands_for,
        architecture=recipe.architecture,
        outputs=recipe.outputs,
        loss=recipe.loss,
        codebook=f"hadamard {recipe.code}" if recipe.code else "",
        metric=recipe.metric,
        quality=round(measured, 4),
        parameters=parameters,
        train_seconds=round(seconds, 1),
        backbone=loading.describe(catalogue.BACKBONE, folder).sha256 if frozen else "",
        source=f"trained here, on from {catalogue.BACKBONE}" if recipe.pretrained else "trained here",
    )
