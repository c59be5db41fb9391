"""Images per second, and what an attack costs beyond the passes that it makes.

Overhead is the attack's time divided by the time of the same forward and backward passes made bare: every call of
the model during the attack is recorded with its batch size and its backward passes, and replayed on noise, in turns
with the attack. Both times come from one run, so that the ratio can be trusted on a noisy machine; seconds cannot.

    python benchmarks/overhead.py                                     # a shipped victim, CPU
    python benchmarks/overhead.py --device cuda --model resnet50      # 224 x 224, random weights, GPU
    python benchmarks/overhead.py --model pictograms10-onehot --batches 32          # sparse attacks on a class
    python benchmarks/overhead.py --top-k 3                                         # attacks on the ranking

A victim with labels is attacked by the multi-label attacks or those on its ranking, one with classes by the sparse
attacks, each image with four targets. Settings are short: overhead does not depend on how long an attack runs, seconds
do.
"""

import argparse
import inspect
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd
import torch
import torchvision
from torch import Tensor, nn
from tqdm import tqdm

from companion import datasets, victims
from companion.runner.kernel import MEMORY
from companion.sampling import choice
from flipbook.attacks import ALL
from flipbook.goals import ClassTarget, Goal, LabelVector, TopKEquals, top_k

RESULTS = Path(__file__).parent / "results"
FACTORS = {"search_steps": 1, "inner_iterations": 20}
STEPS = {"max_iterations": 50}
SETTINGS = {
    LabelVector: {
        "jma": {"step": 0.5, "max_iterations": 50},
        "cw_l2": {"search_steps": 2, "max_iterations": 100},
        "ml_cw": {"search_steps": 2, "max_iterations": 100},
    },
    ClassTarget: {
        "sapf": FACTORS,
        "sapf_gs": FACTORS | {"segments": 60},
        "sapf_vi": FACTORS,
        "strattack": {"search_steps": 1, "max_iterations": 20, "refine_steps": 1, "refine_iterations": 10},
        "cw_l0": {"initial_const": 1, "largest_const": 2, "max_iterations": 20, "shrink": 10},
        "sparsefool": {},
        "pgd_l0": {"search_steps": 2, "restarts": 1, "max_iterations": 20},
        "one_pixel": {"population": 20, "generations": 5},
        "corner_search": {"variant": "l0+sigma", "n_iter": 10, "increment": 50},
    },
    TopKEquals: dict.fromkeys(("masw", "mi_fgsm", "ml_cw_descent", "pgd", "rank_i", "tkml", "tkmia"), STEPS),
}
SHARE = 0.2  # of the entries of an image, where an attack asks how many may change


def keep_memory() -> None:
    """Start this program again with the memory settings that notebooks run with, unless it has them.

    Without them fresh pages cost more than all else that an attack does beyond its passes.
    """
    if not MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MEMORY)


def keep(table: pd.DataFrame, file: str) -> None:
    """Write a table to benchmarks/results and say so."""
    path = RESULTS / file
    table.to_csv(path, index=False, float_format="%.4g")
    print(f"written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


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
    noise = torch.rand(max(call["batch"] for call in calls), *shape, device=device)
    for call in calls:
        x = noise[: call["batch"]]
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


def victim(name: str, device: str) -> tuple[nn.Module, Tensor, Goal]:
    """A shipped victim, 32 images with 5 labels to flip or 32 pairs of image and class; or a large network on noise."""
    if name == "resnet50":
        return noisy_resnet50(device)
    described, model = victims.describe(name), victims.load(name, device=device)
    data = datasets.load(described.dataset, split="test")
    if described.loss == "cross-entropy":
        chosen = choice.select(model, data, 8)
        targets = choice.other_classes(chosen.targets, described.outputs, 4, chosen.indices)
        chosen, goal = choice.pairs(chosen, targets)
    else:
        chosen = choice.select(model, data, 32)
        goal = LabelVector(choice.flip_bits(chosen.predicted, 5, chosen.indices))
    return model, chosen.images.to(device), goal.to(device)


def worst_targets(model, images: Tensor, k: int) -> TopKEquals:
    """The k labels with the smallest logits are to come first, which keeps most images at work."""
    with torch.no_grad():
        logits = model(images)
    return TopKEquals(top_k(-logits, k), k, present=top_k(logits, 1))


def noisy_resnet50(device: str) -> tuple[nn.Module, Tensor, Goal]:
    """Random weights, 20 labels, 5 of which are to be flipped on 32 images of noise."""
    torch.manual_seed(0)
    model = torchvision.models.resnet50(weights=None, num_classes=20).to(device).eval().requires_grad_(False)
    images = torch.rand(32, 3, 224, 224, device=device)
    with torch.no_grad():
        spread = model(images)
        model.fc.bias -= spread.mean(dim=0)  # so that labels differ between images
        predicted = (model(images) > 0).cpu()
    goal = LabelVector(choice.flip_bits(predicted.to(torch.uint8), 5, list(range(32))))
    return model, images, goal.to(device)


def measure(name: str, model, images: Tensor, goal: Goal, device: str, repeats: int) -> dict:
    """One row of the table: median over repeats, attack and replay in turns."""
    settings = SETTINGS[type(goal)][name]
    if "k" in inspect.signature(ALL[name]).parameters:
        settings = settings | {"k": round(SHARE * images[0].numel())}
    attack = partial(ALL[name], images=images, goal=goal, **settings)
    recorder = Recorder(model).eval()
    result = attack(recorder)  # warm-up and record
    recorded = sum(call["batch"] * call["backwards"] for call in recorder.calls)
    for call in recorder.calls:  # on a GPU a batched gradient passes the hook once for all its rows
        call["backwards"] *= round(int(result.backwards.sum()) / max(recorded, 1))
    attacked, bare = [], []
    for _ in range(repeats):
        attacked.append(seconds(lambda: attack(model), device))
        bare.append(seconds(lambda: replay(model, recorder.calls, images.shape[1:], device), device))
    return {
        "attack": name,
        "batch": len(images),
        "forwards": result.forwards.float().mean().item(),
        "backwards": result.backwards.float().mean().item(),
        "seconds_per_image": median(attacked) / len(images),
        "images_per_second": len(images) / median(attacked),
        "overhead": median(a / b for a, b in zip(attacked, bare, strict=True)),
    }


def main() -> None:
    """Measure and write benchmarks/results/<device>-<model>.csv, with -top-<k> behind the model for the ranking."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", default="pictograms20-resnet", help="a shipped victim, or resnet50 (random weights)")
    every = list(dict.fromkeys(name for table in SETTINGS.values() for name in table))
    parser.add_argument("--top-k", type=int, metavar="K", help="attack the ranking: the K last labels are to be first")
    parser.add_argument("--attacks", nargs="+", default=every, choices=every, help="those that fit the model")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    model, images, goal = victim(options.model, options.device)
    if options.top_k:
        goal = worst_targets(model, images, options.top_k)
    cases = [(name, n) for name in SETTINGS[type(goal)] if name in options.attacks for n in options.batches]
    rows = []
    for name, n in tqdm(cases, desc=f"{options.model} on {options.device}", unit="case"):
        rows.append(measure(name, model, images[:n], goal[:n], options.device, options.repeats))
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"cpu, {torch.get_num_threads()} thread(s)"
    table = pd.DataFrame(rows).assign(
        device=device, model=options.model, torch=torch.__version__, python=platform.python_version()
    )
    of_ranking = f"-top-{options.top_k}" if options.top_k else ""
    print(table.drop(columns=["device", "model", "torch", "python"]).to_string(index=False, float_format="%.3f"))
    keep(table, f"{options.device}-{options.model}{of_ranking}.csv")


if __name__ == "__main__":
    main()
