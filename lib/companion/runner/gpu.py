"""GPUs as slots: how many there are, and one for each job."""

import fcntl
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

WAIT = 2.0  # seconds between looks for a free GPU; Snakemake starts no more jobs than there are


def visible() -> list[str]:
    """Return the numbers of the CUDA GPUs that this process may use; [] without any."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    answer = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(i) for i in range(answer.stdout.count("GPU ")) if answer.returncode == 0]


def resolved(device: str) -> str:
    """Return "cpu" or "cuda" for "auto": a GPU where there is one that PyTorch can use."""
    if device != "auto":
        return device
    if not visible():
        return "cpu"
    import torch  # seconds to import: only where its word is needed

    return "cuda" if torch.cuda.is_available() else "cpu"


def claim(folder: Path):
    """Take one GPU of several for this process and its children; keep the returned lock until the work is done."""
    names = visible()
    if len(names) < 2:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    locks = {name: (folder / f"gpu-{socket.gethostname()}-{name}.lock").open("w") for name in names}
    while True:
        for name, file in locks.items():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            return file
        time.sleep(WAIT)
