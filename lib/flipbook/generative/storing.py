"""Trained generators on disk: one safetensors file each, checked when it is read."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from flipbook import fingerprint
from flipbook.files import write_whole
from flipbook.generative.network import ImageGenerator, Trained

KEY = "flipbook generator"


def save(generator: Trained, path: Path | str) -> None:
    """Write a trained generator; the file appears whole or not at all."""
    if not isinstance(generator, Trained):
        raise ValueError(f"generator is a {type(generator).__name__}: give what a training returned")
    net = generator.network
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    about = {"channels": net.channels, "width": net.width, "blocks": net.blocks, "epsilon": generator.epsilon}
    about |= {"method": generator.method, "record": generator.record, "digest": fingerprint.digest(tensors)}
    write_whole({Path(path): to_bytes(tensors, {KEY: json.dumps(about, ensure_ascii=False)})})


def load(path: Path | str, device: str | torch.device = "cpu") -> Trained:
    """Read a file of `save`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: train the generator and save it there first")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): train the generator and save it again") from None
    if about is None:
        raise ValueError(f"{path} is no generator of this library: give a file that was written by save")
    if fingerprint.digest(tensors) != about["digest"]:
        raise ValueError(f"{path} is damaged (its tensors have changed): train the generator and save it again")
    with torch.device("meta"):
        net = ImageGenerator(about["channels"], about["width"], about["blocks"])
    net.load_state_dict({name: tensor.to(device) for name, tensor in tensors.items()}, assign=True)
    net.eval().requires_grad_(False)
    return Trained(net, about["epsilon"], about["method"], about["record"])
