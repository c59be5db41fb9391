"""How far apart two trainings of a universal are that differ in their seed alone.

The CMLU notebooks train every method once. Here the victims and target sets of Figure 3 see several seeds, which order
the images and draw whatever else is drawn. A margin of a claim has to be wider than what comes out: what another
seed moves, another processor's rounding can move as well.

    OMP_NUM_THREADS=1 python benchmarks/seeds.py
"""

import argparse

import pandas as pd
from overhead import keep, keep_memory
from tqdm import tqdm

from companion.papers.cmlu import experiments as paper

METHODS = ("Oracle", "Or-S", "SGA", "NAG", "CMLU_alpha", "CMLU_beta")
MEASURES = ["FR", "NT_R"]
CASE = ["dataset", "model", "method", "size"]
HIDES = 30.0  # percent of FR from which NT_R, the mean over successes, is looked at


def trained(setting: paper.Setting, seed: int) -> pd.DataFrame:
    """Means of both measures over the target sets of each size, after a training with this seed."""
    setup = paper.setup(setting, setting.size)
    rows = paper.rates(setup, METHODS, seed=seed)
    return rows.groupby(CASE, sort=False)[MEASURES].mean().reset_index().assign(seed=seed)


def spread(means: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation over seeds: of each method the root of its mean square over data sets, models and sizes."""
    looked_at = means.assign(NT_R=means["NT_R"].where(means["FR"] >= HIDES))
    each = looked_at.groupby(CASE, sort=False)[MEASURES].std()
    return each.pow(2).groupby("method", sort=False).mean().pow(0.5)


def main() -> None:
    """Measure and write benchmarks/results/cpu-seeds.csv."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="trainings of each method")
    seeds = range(parser.parse_args().seeds)
    cases = [(setting, seed) for setting in paper.settings("figure-03") for seed in seeds]
    means = pd.concat([trained(*case) for case in tqdm(cases, desc="trainings", unit="scene")], ignore_index=True)
    print(f"standard deviation over {len(seeds)} seeds, in points\n{spread(means).round(2).to_string()}")
    keep(means, "cpu-seeds.csv")


if __name__ == "__main__":
    main()
