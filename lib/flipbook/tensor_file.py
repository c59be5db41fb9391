"""Named tensors and a description of them in one safetensors file, checked when it is read."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flipbook import fingerprint
from flipbook.files import write_whole


def write(path: Path | str, what: str, tensors: dict[str, Tensor], about: dict) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path or str
    what : str
        What the tensors are, "universal" for example: `read` asks for the same.
    tensors : dict of str to Tensor
    about : dict
        What JSON can hold; the tensors' digest joins it.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = about | {"digest": fingerprint.digest(tensors)}
    write_whole({Path(path): save(tensors, {_key(what): json.dumps(about, ensure_ascii=False)})})


def read(path: Path | str, what: str) -> tuple[dict[str, Tensor], dict]:
    """Read a file of `write`: the tensors, on the CPU, and their description.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: train the {what} and save it there first")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(_key(what), "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): train the {what} and save it again") from None
    if about is None:
        raise ValueError(f"{path} is no {what} of this library: give a file that was written by save")
    if fingerprint.digest(tensors) != about.get("digest"):
        raise ValueError(f"{path} is damaged (its tensors have changed): train the {what} and save it again")
    return tensors, about


def _key(what: str) -> str:
    return f"flipbook {what}"
