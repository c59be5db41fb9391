"""Rates in percent against one setting, a plot for each experiment (MASW, Figure 11)."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from companion.report.figures import WIDTH


def rate_curves(settings: dict[str, tuple[str, pd.DataFrame]], names: dict[str, str]) -> Figure:
    """Draw curves side by side; the values of a setting stand at equal distances, whatever they are.

    Parameters
    ----------
    panels : dict of str to (str, DataFrame)
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
