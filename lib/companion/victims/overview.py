"""What a reader wants to know of the victims at a glance: how good, how they learned, what they say of a few images."""

import math
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm.auto import tqdm

from companion import datasets, paths

from . import catalogue, loading, paper, table
from .codes import decode
from .quality import predict, quality

RIGHT, WRONG = "#1a7f37", "#cf222e"
CHARACTERS = 22  # that fit above one image


def chosen(words: str, retrain: bool = False) -> list[str]:
    """Return the names in a text, separated by blanks; an unknown one is refused.

    "all" means all victims that are trained, and with `retrain` also those that can be: whose data set is here.
    """
    known = table.read() | paper.listed()
    everyone = [name for name in loading.names() if name in known or (retrain and has_data(name))]
    names = everyone if words.strip() == "all" else words.split()
    if not names:
        raise ValueError('no victims are named: say "all", or names separated by blanks')
    for name in names:
        if name not in loading.names():
            raise KeyError(catalogue.unknown(name, loading.names()))
    return names


def has_data(name: str) -> bool:
    """Whether the victim's data set is embedded or on this machine; the victim need not be trained yet."""
    small = name in catalogue.RECIPES
    try:
        datasets.load((catalogue.recipe(name) if small else loading.describe(name)).dataset, split="test")
    except FileNotFoundError:
        return False
    return True


def measure(name: str, device: str | torch.device = "cpu", images: int | None = None) -> float:
    """Return the quality of a trained victim on the first `images` of its test split (default: all), in its metric."""
    ds = datasets.load(loading.describe(name).dataset, split="test")
    pixels, targets = datasets.tensors(ds, range(min(images or len(ds), len(ds))), progress=False)
    return quality(predict(loading.load(name, device), pixels), loading.targets(name, targets), loading.codebook(name))


def summary(names: list[str], device: str | torch.device = "cpu", images: int | None = None) -> pd.DataFrame:
    """Return one row per victim: its record, and its quality measured again where its data set is at hand."""
    rows = []
    shown = tqdm(names, desc="measuring victims", unit="victim")
    for name in shown:
        shown.set_postfix_str(name)
        victim = loading.describe(name)
        again = measure(name, device, images) if has_data(name) else math.nan
        row = {key: getattr(victim, key) for key in ("name", "stands_for", "architecture", "outputs", "parameters")}
        rows.append(row | {"metric": victim.metric, "quality": victim.quality, "measured again": again})
    return pd.DataFrame(rows)


def histories(names: list[str], folder: Path | None = None) -> pd.DataFrame:
    """Return the training histories of victims, one row per epoch: victim, metric, epoch, train_loss, validation, ...

    Victims whose history is not stored are left out.
    """
    files = {name: (folder or paths.VICTIMS) / table.HISTORY / f"{name}.csv" for name in names}
    parts = [
        pd.read_csv(file).assign(victim=name, metric=loading.describe(name, folder).metric)
        for name, file in files.items()
        if file.exists()
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["victim", "metric", "epoch"])


def curves(history: pd.DataFrame) -> Figure:
    """Draw the validation quality over the epochs, one line per victim, one panel per metric."""
    metrics = sorted(history.metric.unique(), reverse=True)
    figure, axes = plt.subplots(1, len(metrics), figsize=(10, 3.6), squeeze=False, layout="constrained")
    for axis, metric in zip(axes[0], metrics, strict=True):
        part = history[history.metric == metric]
        sns.lineplot(part, x="epoch", y="validation", hue="victim", palette="colorblind", marker="o", ms=4, ax=axis)
        axis.set(ylabel=f"validation {metric}", ylim=(0, 1.02))
        axis.legend(title=None, fontsize=8, frameon=False, loc="lower right")
    sns.despine(figure)
    return figure


def predictions(name: str, count: int = 6, device: str | torch.device = "cpu") -> Figure:
    """Draw the first test images: labels found rightly above in green, errors below in red."""
    ds = datasets.load(loading.describe(name).dataset, split="test")
    images, targets = datasets.stack(ds, range(count))
    targets, labels = loading.targets(name, targets), loading.labels(name)
    verdicts = decisions(loading.load(name, device), images, targets, labels, loading.codebook(name))
    above = [fill(", ".join(found), CHARACTERS) for found, _, _ in verdicts]
    below = [
        "\n".join([f"missed {k}" for k in missed] + [f"wrongly {k}" for k in extra]) for _, missed, extra in verdicts
    ]
    lines = sum(max(text.count("\n") + 1 for text in texts) for texts in (above, below))
    size = (1.4 * count, 1.6 + 0.16 * lines)
    figure, axes = plt.subplots(1, count, figsize=size, squeeze=False, layout="constrained", dpi=72)
    for axis, image, found, errors in zip(axes[0], images, above, below, strict=True):
        axis.imshow(image.permute(1, 2, 0).squeeze().numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        axis.set_title(found, fontsize=8, color=RIGHT, pad=3)
        axis.set_xlabel(errors, fontsize=8, color=WRONG, labelpad=3)
    figure.suptitle(f"{name}, on {ds.caption}", fontsize=9, x=0.01, ha="left")
    return figure


def decisions(net, images: Tensor, targets: Tensor, labels: list[str], codebook: Tensor | None = None) -> list[tuple]:
    """Return for each image the names of labels found rightly, missed and found wrongly."""
    logits = predict(net, images)
    if targets.ndim == 1:
        chosen = logits.argmax(1) if codebook is None else decode(logits, codebook)
        found, true = (torch.nn.functional.one_hot(index, len(labels)).bool() for index in (chosen, targets))
    else:
        found, true = logits > 0, targets.bool()
    parts = (found & true, true & ~found, found & ~true)
    return [tuple([labels[j] for j in part[i].nonzero().flatten()] for part in parts) for i in range(len(images))]


def codewords(name: str, count: int = 10, device: str | torch.device = "cpu") -> Figure:
    """Draw the activated bits tanh(z) of an ECOC victim on one test image of each class, beside the codewords."""
    ds = datasets.load(loading.describe(name).dataset, split="test")
    first = [int((ds.targets == k).nonzero()[0]) for k in range(count)]
    bits = predict(loading.load(name, device), datasets.stack(ds, first)[0]).tanh()
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained", sharey=True, dpi=72)
    settings = {"codeword": loading.codebook(name)[:count], "bits of one image": bits}
    for axis, (title, values) in zip(axes, settings.items(), strict=True):
        bar = axis is axes[1]
        sns.heatmap(values.numpy(), ax=axis, cmap="vlag", vmin=-1, vmax=1, cbar=bar, linewidths=0.3, xticklabels=4)
        axis.set(title=title, xlabel="bit", yticks=[k + 0.5 for k in range(count)])
        axis.set_yticklabels(ds.labels[:count], rotation=0, fontsize=8)
    figure.suptitle(name, fontsize=9, x=0.01, ha="left")
    return figure
