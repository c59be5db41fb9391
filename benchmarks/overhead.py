"""Seconds per image, and what an attack costs beyond the passes that it makes.

Overhead is the attack's time divided by the time of the same forward and backward passes made bare: every call of
the model during the attack is recorded with its batch size and its backward passes, and replayed on noise, in turns
with the attack. Both times come from one run, so that the ratio can be trusted on a noisy machine; seconds cannot.

    python benchmarks/overhead.py                                     # a shipped victim, CPU
    python benchmarks/overhead.py --device cuda --model resnet50      # 224 x 224, random weights, GPU
"""

import argparse
import platform
import time
from pathlib import Path
from statistics import median

import pandas as pd
import torch
import torchvision
from torch import nn
from tqdm import tqdm

from flipbook import datasets, protocol, victims
from flipbook.attacks import cw_l2, jma, ml_cw
from flipbook.goals import LabelVector

RESULTS = Path(__file__).parent / "results"
ATTACKS = {
    "jma": lambda model, x, goal: jma(model, x, goal, step=0.5, max_iterations=50),
    "cw_l2": lambda model, x, goal: cw_l2(model, x, goal, search_steps=2, max_iterations=100),
    "ml_cw": lambda model, x, goal: ml_cw(model, x, goal, search_steps=2, max_iterations=100),
}


class Recorder(nn.Module):
    """A model that writes down each call: batch size, and how many backward passes followed."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.calls = []

    def forward(self, x):
        """Logits of x."""
        logits = self.model(x)
        call = {"batch": len(x), "graph": logits.requires_grad, "backwards": 0}
        self.calls.append(call)
        if logits.requires_grad:
            logits.register_hook(lambda g: call.update(backwards=call["backwards"] + 1))
        return logits


def replay(model, calls: list[dict], shape: torch.Size, device: str) -> None:
    """Make the recorded passes and nothing else."""
    noise = {n: torch.rand(n, *shape, device=device) for n in {call["batch"] for call in calls}}
    for call in calls:
        x = noise[call["batch"]]
        with torch.set_grad_enabled(call["graph"]):
            x = x.detach().requires_grad_(call["graph"])
            logits = model(x)
        ones = torch.ones_like(logits)
        for _ in range(call["backwards"]):
            torch.autograd.grad(logits, x, ones, retain_graph=True)


def seconds(work, device: str) -> float:
    """Wall time of one call, the device's queue included."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def victim(name: str, device: str):
    """The model and 32 images with 5 labels to flip: a shipped victim's, or noise for a large network."""
    if name != "resnet50":
        model, data = victims.load(name, device=device), datasets.load(victims.describe(name).dataset, split="test")
        chosen = protocol.select(model, data, 32)
        return model, chosen.images.to(device), protocol.flip_bits(chosen.predicted, 5, chosen.indices).to(device)
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None, num_classes=20).to(device).eval().requires_grad_(False)
    images = torch.rand(32, 3, 224, 224, device=device)
    with torch.no_grad():
        spread = model(images)
        model.fc.bias -= spread.mean(dim=0)  # so that labels differ between images
        predicted = (model(images) > 0).cpu()
    return model, images, protocol.flip_bits(predicted.to(torch.uint8), 5, list(range(32))).to(device)


def measure(name: str, model, images, target, device: str, repeats: int) -> dict:
    """One row of the table: median over repeats, attack and replay in turns."""
    goal, attack = LabelVector(target), ATTACKS[name]
    recorder = Recorder(model).eval()
    result = attack(recorder, images, goal)  # warm-up and record
    recorded = sum(call["batch"] * call["backwards"] for call in recorder.calls)
    for call in recorder.calls:  # on a GPU a batched gradient passes the hook once for all its rows
        call["backwards"] *= round(int(result.backwards.sum()) / recorded)
    attacked, bare = [], []
    for _ in range(repeats):
        attacked.append(seconds(lambda: attack(model, images, goal), device))
        bare.append(seconds(lambda: replay(model, recorder.calls, images.shape[1:], device), device))
    return {
        "attack": name,
        "batch": len(images),
        "forwards": result.forwards.float().mean().item(),
        "backwards": result.backwards.float().mean().item(),
        "seconds_per_image": median(attacked) / len(images),
        "overhead": median(a / b for a, b in zip(attacked, bare, strict=True)),
    }


def main() -> None:
    """Measure and write benchmarks/results/<device>-<model>.csv."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", default="pictograms20-resnet", help="a shipped victim, or resnet50 (random weights)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    model, images, target = victim(options.model, options.device)
    cases = [(name, n) for name in ATTACKS for n in options.batches]
    rows = []
    for name, n in tqdm(cases, desc=f"{options.model} on {options.device}", unit="case"):
        rows.append(measure(name, model, images[:n], target[:n], options.device, options.repeats))
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    table = pd.DataFrame(rows).assign(
        device=device, model=options.model, torch=torch.__version__, python=platform.python_version()
    )
    path = RESULTS / f"{options.device}-{options.model}.csv"
    table.to_csv(path, index=False, float_format="%.4g")
    print(table.drop(columns=["device", "model", "torch", "python"]).to_string(index=False, float_format="%.3f"))
    print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    main()
