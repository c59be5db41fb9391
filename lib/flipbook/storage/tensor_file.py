"""Named tensors and a description of them in one safetensors file, checked when it is read."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from flipbook.storage import fingerprint
from flipbook.storage.files import write_whole

DIGEST = "flipbook digest"


def write(path: Path | str, what: str, tensors: dict[str, Tensor], about: dict) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path or str
    what : str
        What the tensors are, "universal" for example: `read` asks for the same.
    tensors : dict of str to Tensor
    about : dict
        What JSON can hold.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(about, ensure_ascii=False)
    # The digest covers the description too: vectors under other labels are as wrong as other vectors.
    header = {_key(what): text, DIGEST: fingerprint.digest(tensors, text)}
    write_whole({Path(path): save(tensors, header)})


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
            header = file.metadata() or {}
            text = header.get(_key(what), "null")
            about = json.loads(text)
            # Copies lie where PyTorch puts its own tensors. Products of float32 round in another way where memory
            # begins at an odd place, as it does in the file: a network read back would not compute bitwise the same.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): train the {what} and save it again") from None
    if about is None:
        raise ValueError(f"{path} is no {what} of this library: give a file that was written by save")
    if fingerprint.digest(tensors, text) != header.get(DIGEST):
        raise ValueError(
            f"{path} is damaged (its tensors or their description have changed): train the {what} and save it again"
        )
    return tensors, about


def _key(what: str) -> str:
    return f"flipbook {what}"
