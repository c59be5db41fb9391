"""Trained generators on disk."""

from pathlib import Path

import torch

from flipbook.generative.network import ImageGenerator, Trained
from flipbook.storage import tensor_file

WHAT = "generator"


def save(generator: Trained, path: Path | str) -> None:
    """Write a trained generator; the file appears whole or not at all."""
    if not isinstance(generator, Trained):
        raise ValueError(f"generator is a {type(generator).__name__}: give what a training returned")
    net = generator.network
    about = {"channels": net.channels, "width": net.width, "blocks": net.blocks, "epsilon": generator.epsilon}
    tensor_file.write(path, WHAT, net.state_dict(), about | {"method": generator.method, "record": generator.record})


def load(path: Path | str, device: str | torch.device = "cpu") -> Trained:
    """Read a file of `save`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or not one of ours.
    """
    tensors, about = tensor_file.read(path, WHAT)
    with torch.device("meta"):
        net = ImageGenerator(about["channels"], about["width"], about["blocks"])
    net.load_state_dict({name: tensor.to(device) for name, tensor in tensors.items()}, assign=True)
    net.eval().requires_grad_(False)
    return Trained(net, about["epsilon"], about["method"], about["record"])
