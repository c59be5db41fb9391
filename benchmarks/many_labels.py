"""How much memory an iteration takes with many labels: attack x goal x number of labels, in a process of its own each.

    python benchmarks/many_labels.py        # writes benchmarks/results/cpu-many-labels.csv

Four images of 8 x 8 pixels, so that what grows is what labels cost. `growth` is the largest resident memory over that
before the attack, in MB; an array (N, C, C) of floats would take N C² · 4 bytes, the last column.
"""

import os
import threading
import time
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from flipbook import attacks
from flipbook.goals import Goal, HideLabels, LabelVector, TopKEquals, TopKExcludes

LABELS = (20, 268, 1000, 9605)
ATTACKS = ("jma", "ml_deepfool", "madw", "mla_lp", "masw", "gmla", "apgd", "ml_cw", "cw_l2", "pgd")
IMAGES, SIDE = 4, 8


class Linear(nn.Module):
    """Logits W x + b of flattened images."""

    def __init__(self, labels: int):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.register_buffer("W", torch.randn(labels, 3 * SIDE * SIDE, generator=g) / 14)
        self.register_buffer("b", torch.randn(labels, generator=g))
        self.eval()

    def forward(self, x):
        """Logits (n, labels)."""
        return x.flatten(1) @ self.W.T + self.b


def goals(z: torch.Tensor) -> dict[str, Goal]:
    """Two labels to hide, three to drive out of the first three or to bring there, or two to flip."""
    none, order = torch.zeros_like(z, dtype=torch.bool), z.argsort(dim=1, descending=True)
    top = none.scatter(1, order[:, :3], True)
    return {
        "hide 2": HideLabels(none.scatter(1, order[:, :2], True)),
        "top-3 excludes": TopKExcludes(top, 3, hide=True),
        "top-3 equals": TopKEquals(none.scatter(1, order[:, 2:5], True), 3, present=top),
        "flip 2": LabelVector((z > 0) ^ none.scatter(1, order[:, :2], True)),
    }


def resident() -> int:
    """Memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(name: str, kind: str, labels: int) -> float:
    """Largest growth of the memory while one iteration runs, in MB, measured in a child process."""
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        answer = os.read(read, 100).decode()
        os.close(read)
        os.wait()
        return float(answer or "nan")
    options = {"max_iterations": 1} | ({"search_steps": 1} if name in ("cw_l2", "ml_cw") else {})
    options |= {"mode": "violated"} if name == "ml_deepfool" else {}
    x = torch.rand(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    few = Linear(20)
    attacks.ALL[name](few, x, goals(few(x))[kind], **options)  # what autograd and solvers load once is not labels' cost
    model = Linear(labels)
    goal = goals(model(x))[kind]
    before, peak, running = resident(), [0], [True]

    def watch() -> None:
        while running[0]:
            peak[0] = max(peak[0], resident())
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    attacks.ALL[name](model, x, goal, **options)
    running[0] = False
    thread.join()
    os.write(write, f"{(peak[0] - before) / 1e6:.1f}".encode())
    os._exit(0)


def main() -> None:
    """Measure, print and keep the table."""
    torch.set_num_threads(1)
    rows = []
    for name in ATTACKS:
        for kind in goals(torch.rand(1, 20)):
            row = {"attack": name, "goal": kind}
            row |= {f"growth at C = {labels:,}": growth(name, kind, labels) for labels in LABELS}
            rows.append(row | {f"N C C floats at {LABELS[-1]:,}": IMAGES * LABELS[-1] ** 2 * 4 / 1e6})
            print(row, flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).parent / "results" / "cpu-many-labels.csv", index=False, float_format="%.4g")
    print(table.to_string())


if __name__ == "__main__":
    main()
