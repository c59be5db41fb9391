"""The reader's own weights, listed as a victim that notebooks find by name."""

from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from companion import datasets
from companion.datasets import ImageSet
from flipbook.storage.places import plain_name

from . import catalogue, paper, table
from .blocks import parameter_count
from .loading import usable
from .quality import predict, quality

BATCH = 64
SUFFIXES = (".safetensors", ".pt", ".pth")


def register(
    name: str, weights: str | Path, dataset: str = "", architecture: str = "", device: str | torch.device = "cpu"
) -> table.Victim:
    """Copy weights to $DATA_ROOT/victims and list them there, with their quality on the data set's test images.

    Parameters
    ----------
    name : str
        One of `paper.EXPECTED`, which the paper profile asks for, or another that no victim of ours has. A listed one
        is replaced.
    weights : path
        State of torchvision's network with one logit for each label: .safetensors, or .pt / .pth of tensors only. It
        may lie inside a checkpoint, and its names may begin with "module." or "model.", see `paper.state_in`.
    dataset, architecture : str
        Names for `datasets.load` and of `paper.ARCHITECTURES`; not needed for the expected ones.
    device : str or device
        Where the quality is measured.

    Returns
    -------
    table.Victim

    Raises
    ------
    ValueError
        For names that are ours or unknown, and weights that do not fit.
    OSError
        For weights or test images that are missing or damaged. Nothing is listed then.
    """
    plain_name("name of a victim", name)
    if name in catalogue.names():
        raise ValueError(f"victim {name!r} is one of ours: choose another name")
    known_dataset, known_architecture = paper.EXPECTED.get(name, ("", ""))
    dataset, architecture = dataset or known_dataset, architecture or known_architecture
    if not (dataset and architecture):
        raise ValueError(
            f"dataset and architecture of {name!r} are not known: give both, or one of the names that the papers' "
            f"notebooks ask for ({', '.join(paper.EXPECTED)})"
        )
    weights, device = Path(weights), usable(device)
    if weights.suffix not in SUFFIXES:
        raise ValueError(f"weights are {weights.name!r}, they must be a file that ends in {', '.join(SUFFIXES)}")
    content, data = weights.read_bytes(), datasets.load(dataset, "test")
    net = paper.fitted(architecture, len(data.labels), weights.name, content).requires_grad_(False).to(device)
    victim = table.Victim(
        name=name,
        file=name + weights.suffix,
        sha256=table.digest(content),
        dataset=dataset,
        stands_for="",
        architecture=architecture,
        outputs=len(data.labels),
        loss="",
        codebook="",
        metric="mAP" if data.task == "multi-label" else "accuracy",
        quality=round(quality(_logits(net, data, name), data.targets), 4),
        parameters=parameter_count(net),
        train_seconds=0.0,
        backbone="",
        source="the reader's weights",
    )
    table.record(victim, content, None, paper.folder())
    return victim


def _logits(net: nn.Module, data: ImageSet, name: str) -> Tensor:
    parts = torch.arange(len(data)).split(BATCH)  # all images at once may not fit into memory
    shown = tqdm(parts, desc=f"{name} on {data.caption}", unit="batch")
    return torch.cat([predict(net, datasets.stack(data, part)[0]) for part in shown])
