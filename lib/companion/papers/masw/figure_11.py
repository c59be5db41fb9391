"""Figure 11 of the MASW paper: patience and step of its universal perturbations."""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from companion.papers.masw import universals
from companion.report.figures import WIDTH
from flipbook import universal
from flipbook.storage import fingerprint
from flipbook.storage.store import Store
from flipbook.universal import TopKUniversal
from flipbook.universal.inner import inner_attack
from flipbook.universal.stopping import Patience, chosen


def patience(
    setup: universals.Setup, patiences: Sequence[int], k: int = 3, seeds: Sequence[int] = (0, 1), passes: int = 4
) -> pd.DataFrame:
    """What less patience gives, from one long search of MASW a seed that is evaluated after every mini-batch.

    Parameters
    ----------
    setup : Setup
    patiences : sequence of int
        E, evaluations without a gain after which a search ends.
    k : int
    seeds : sequence of int
        Of the order of the training images.
    passes : int
        Over the training images.

    Returns
    -------
    DataFrame
        A row a seed and E of `patiences`: seed, E, batches (until the kept z), asr and lfr on the test images and
        train_asr, train_lfr on the training images, all in percent; kept in the store.
    """
    model, images, present = setup.single.model, setup.training.images, setup.training.targets.bool()
    settings = {"radius": setup.radius, "hide": True, "batch_size": setup.size.batch, "max_passes": passes}
    settings |= {"eval_every": 1, "patience": max(patiences), "history": True}
    attack = inner_attack("masw", setup.size.iterations, learning_rate=setup.size.learning_rate)
    device = next(model.parameters()).device
    functions = [fingerprint.of_function(f) for f in (universal.universal_top_k, universal.evaluate_top_k)]
    of = [functions, attack, settings, k, images, present, *universals.tested(setup.single), tuple(patiences)]
    key = {"patience": fingerprint.digest(*of, fingerprint.of_model(model), str(device.type))}
    shelf = Store.of("universal-patience", key)
    for seed in seeds:
        if str(seed) in shelf.rows().get("seed", pd.Series(dtype=str)).astype(str).tolist():
            continue
        learnt = universal.universal_top_k(
            model, images.to(device), present.to(device), k, attack, seed=seed, **settings
        )
        lines = pd.DataFrame([_kept(setup, learnt, E) | {"seed": seed} for E in patiences])
        shelf.add(lines.set_axis([f"{seed}/{E}" for E in patiences], axis="index"))
    known = shelf.rows()
    return known[known["seed"].isin(seeds)].sort_values(["seed", "E"]).reset_index(drop=True)


def _kept(setup: universals.Setup, learnt: TopKUniversal, E: int) -> dict:
    """What patience E would have kept of a longer search."""
    place = chosen(Patience(E), learnt.trace)
    found = universals.measured(setup, replace(learnt, perturbation=learnt.history[place : place + 1], history=None))
    train = {f"train_{name}": 100 * learnt.trace[name][place] for name in ("asr", "lfr")}
    test = {name: 100 * found[name].mean() for name in ("asr", "lfr")}
    return {"E": E, "batches": learnt.trace["batches"][place]} | test | train


def rate_curves(settings: dict[str, tuple[str, pd.DataFrame]], names: dict[str, str]) -> Figure:
    """Draw curves side by side; the values of a setting stand at equal distances, whatever they are.

    Parameters
    ----------
    settings : dict of str to (str, DataFrame)
        By title: the setting's name, and the rates with the setting's values as index.
    names : dict of str to str
        What a column is called. Columns that begin with "train" are dashed.
    """
    figure, axes = plt.subplots(
        1, len(settings), figsize=(WIDTH * 1.4, 3.3), sharey=True, squeeze=False, layout="constrained"
    )
    measures = dict.fromkeys(column.removeprefix("train_") for column in names)
    colours = dict(zip(measures, sns.color_palette(), strict=False))
    for axis, (title, (setting, rates)) in zip(axes.flat, settings.items(), strict=True):
        for column in names.keys() & set(rates):
            dashed = column.startswith("train")
            colour, style = colours[column.removeprefix("train_")], "--" if dashed else "-"
            axis.plot(range(len(rates)), rates[column], style, color=colour, marker="o", ms=4, label=names[column])
        axis.set_xticks(range(len(rates)), [f"{value:g}" for value in rates.index])
        axis.set(xlabel=setting, title=title, ylim=(0, 104))
    axes[0, 0].set_ylabel("%")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    order = [labels.index(name) for name in names.values() if name in labels]
    axes[0, 0].legend([handles[i] for i in order], [labels[i] for i in order], fontsize=9, loc="lower right")
    return figure
