"""What trainings share: their budget, the order of the images, features of a layer, and the Adam loop."""

import difflib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from flipbook.core import per_image_random
from flipbook.core.pass_counter import PassCounter
from flipbook.core.validation import check_counts, check_images, check_inputs, check_positive
from flipbook.generative.generator import seeded
from flipbook.generative.network import ImageGenerator, Trained, bounded
from flipbook.goals import LabelVector


@dataclass(frozen=True)
class Training:
    """Budget of a generator; defaults are GAMA's published ones, but for the layer.

    Attributes
    ----------
    epsilon : float
        ε, the largest change of a pixel, in [0, 1] units.
    epochs, batch : int
        Passes over the images, and images a step of Adam, which has betas 0.5 and 0.999.
    rate : float
        Of Adam.
    width, blocks : int
        Of the generator; see `ImageGenerator`.
    layer : str
        Module of the victim, by its name in `named_modules()`, whose output (n, c, h, w) is the features.
    seed : int
        Of the generator's weights, the order of the images and all that is drawn.
    progress : bool
        Whether to show a bar.
    """

    epsilon: float = 10 / 255
    epochs: int = 20
    batch: int = 8
    rate: float = 1e-4
    width: int = 64
    blocks: int = 6
    layer: str = "stages.1"
    seed: int = 0
    progress: bool = True

    def __post_init__(self):
        check_positive(epsilon=self.epsilon, rate=self.rate)
        check_counts(epochs=self.epochs, batch=self.batch, width=self.width, blocks=self.blocks)


# From features of the clean and of the attacked images (n, c, h, w), the indices of the images, and a function that
# draws uniform numbers (n, count) for them, to a loss.
Objective = Callable[[Tensor, Tensor, Tensor, Callable[[int], Tensor]], Tensor]


def train(
    model, images: Tensor, objective: Objective, training: Training, method: str, also: dict | None = None
) -> Trained:
    """Minimise the objective of a generator's images with Adam.

    Parameters
    ----------
    model : nn.Module
        Victim in eval mode, on the images' device.
    images : Tensor (N, channels, H, W)
        In [0, 1].
    objective : callable
    training : Training
    method : str
        What the result is called.
    also : dict, optional
        Further settings to record.

    Raises
    ------
    ValueError
        For images and models that attacks refuse, fewer than two images, and a layer that is not there or whose output
        is no map or that does not run once a pass.
    """
    _check(model, images, training.layer)
    net = seeded(lambda: ImageGenerator(images.shape[1], training.width, training.blocks), training.seed, images[:0])
    weights = list(net.train().parameters())
    optimiser = torch.optim.Adam(weights, lr=training.rate, betas=(0.5, 0.999))
    keys, counted = per_image_random.keys(images, training.seed), PassCounter(model, images)
    with (
        features(model, training.layer) as seen,
        tqdm(
            total=training.epochs * len(images), desc=method, unit="image", disable=not training.progress, delay=0.5
        ) as bar,
    ):
        for epoch in range(training.epochs):
            order = per_image_random.uniform(keys, 1, 2 * epoch)[:, 0].argsort(stable=True)
            for index in order.tensor_split(max(1, round(len(order) / training.batch))):
                x = images[index]
                draw = partial(per_image_random.uniform, keys[index], stream=2 * epoch + 1)
                counted.focus(index)
                with torch.no_grad():
                    counted(x)
                clean = seen.pop()
                with torch.enable_grad():
                    counted(bounded(net(x), x, training.epsilon))
                    loss = objective(clean, seen.pop(), index, draw)
                for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                    weight.grad = gradient  # the victim's parameters get none
                counted.add_backwards(1)  # it starts inside the model, where no hook on the logits sees it
                optimiser.step()
                bar.update(len(index))
    net.eval().requires_grad_(False)
    cost = {"images": len(images), "forwards": int(counted.forwards.sum()), "backwards": int(counted.backwards.sum())}
    settings = asdict(training) | (also or {})
    del settings["progress"]
    return Trained(net, training.epsilon, method, settings | cost)


@contextmanager
def features(model: nn.Module, layer: str):
    """Context that gives a list to which a layer's output is added whenever it runs.

    Raises
    ------
    ValueError
        When the model has no layer of this name.
    """
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    if not layer or layer not in modules:
        near = difflib.get_close_matches(layer, [name for name in modules if name], 3, 0)
        raise ValueError(f"layer is {layer!r}, which the model does not have: choose a module such as {near}")
    seen: list[Tensor] = []
    handle = modules[layer].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()


def pooled(maps: Tensor) -> Tensor:
    """Mean over positions, of norm 1: (n, c, h, w) to (n, c)."""
    return torch.nn.functional.normalize(maps.mean(dim=(2, 3)), dim=1)


def _check(model, images: Tensor, layer: str) -> None:
    check_images(images)
    if len(images) < 2:
        raise ValueError(f"images are {len(images)}: batch norm needs at least 2 to train on")
    with features(model, layer) as seen, torch.no_grad():
        logits = model(images[:1])
    if len(seen) != 1:
        raise ValueError(f"layer {layer!r} runs {len(seen)} times a pass: choose one that runs once")
    (maps,) = seen
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        what = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f"layer {layer!r} gives {what} for one image: choose one that gives maps (1, c, h, w)")
    check_inputs(model, images[:1], LabelVector(torch.zeros_like(logits)))
