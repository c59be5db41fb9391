"""The generators of MASW's comparison, GAMA-like and LPD-like: trained once a victim and kept in the store."""

from dataclasses import asdict

import torch

from companion import datasets
from flipbook import generative
from flipbook.generative import Trained, Training
from flipbook.storage import fingerprint
from flipbook.storage.cached import cached

METHODS = {"GAMA": generative.train_gama, "LPD": generative.train_lpd}
IMAGES = 100  # training images
LAPTOP = Training(epochs=5, rate=1e-3, width=16, blocks=2)  # of 20 epochs at 1e-4 with 64 channels and 6 blocks


def trained(method: str, model: torch.nn.Module, data: str, seed: int = 0) -> Trained:
    """Train the generator "GAMA" or "LPD" against a victim, or take what was trained before from the store.

    Parameters
    ----------
    method : str
        As printed.
    model : nn.Module
        The victim itself is the surrogate, as in the comparison: nothing else is said.
    data : str
        Name of its data set; the first training images are used.
    seed : int
    """
    training = Training(**asdict(LAPTOP) | {"seed": seed})
    device = next(model.parameters()).device
    code = fingerprint.of_function(METHODS[method])
    settings = asdict(training) | {"progress": True}
    key = fingerprint.digest(method, code, settings, IMAGES, data, fingerprint.of_model(model), device.type)

    def train() -> Trained:
        images, labels = datasets.stack(datasets.load(data, "train"), range(IMAGES))
        given = [labels.to(device)] if method == "GAMA" else []
        return METHODS[method](model, images.to(device), *given, training)

    name = f"generators/{method.lower()}-{key[:20]}"
    return cached(name, load=lambda path: generative.load(path, device), learn=train, save=generative.save)
