"""How long MLA-LP's linear programmes take: labels and pixels as in a multi-label network, on one core.

    python benchmarks/programmes.py        # writes benchmarks/results/cpu-programmes.csv

`whole` is HiGHS on all pixels at once, run where it takes a minute at most; times mean something as ratios of one run.
"""

import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import interpolate

from companion import datasets, victims
from flipbook.goals import LabelVector
from flipbook.solvers import minimax_step

SIDES = (64, 224, 299)


def programmes(victim: str, data: str, side: int, images: int = 3) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first programme of each image when 5 labels are to flip, with pictures enlarged to `side` pixels."""
    model = victims.load(victim)
    x = interpolate(datasets.stack(datasets.load(data, split="test"), range(images))[0], size=(side, side))
    z, seen = model(x), []

    def remember(G, β):
        seen.extend(zip(G.double().numpy(), β.double().numpy(), strict=True))
        return torch.zeros_like(G[:, 0]), torch.full((len(G),), torch.inf, dtype=torch.float64)

    module = import_module("flipbook.attacks.mla_lp")
    solve, module.solve_minimax_lp = module.solve_minimax_lp, remember
    try:
        module.mla_lp(model, x, LabelVector((z > 0) ^ (torch.arange(z.shape[1]) < 5)), max_iterations=1)
    finally:
        module.solve_minimax_lp = solve
    return seen


def seconds(function, *args) -> tuple[float, float]:
    """Time of one call, and the s that it finds."""
    start = time.perf_counter()
    s = function(*args)[1]
    return time.perf_counter() - start, s


def whole(G: np.ndarray, β: np.ndarray) -> tuple[np.ndarray, float]:
    """The programme without tied pixels."""
    few, minimax_step.FEW = minimax_step.FEW, 1 << 40
    try:
        return minimax_step.minimax_step(G, β)
    finally:
        minimax_step.FEW = few


def main() -> None:
    """Measure, print and keep the table."""
    torch.set_num_threads(1)
    rows = []
    for victim, data in (("pictograms20-resnet", "pictograms20"), ("pictograms81-asl", "pictograms81")):
        for side in SIDES:
            for G, β in programmes(victim, data, side):
                tied, s = seconds(minimax_step.minimax_step, G, β)
                slow, s_whole = seconds(whole, G, β) if G.size < 4e6 else (np.nan, np.nan)
                rows.append({"labels": len(G), "side": side, "pixels": G.shape[1], "seconds": tied, "whole": slow})
                rows[-1]["relative difference of s"] = abs(s / s_whole - 1)
    table = pd.DataFrame(rows).groupby(["labels", "side", "pixels"], as_index=False).median().round(10)
    table.to_csv(Path(__file__).parent / "results" / "cpu-programmes.csv", index=False, float_format="%.3g")
    print(table.to_string())


if __name__ == "__main__":
    main()
