"""Images with bars for their labels' probabilities below."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure
from torch import Tensor

from companion.report.figures import WIDTH, draw_image


def label_bars(
    images: Tensor, titles: list[str], logits: list[Tensor], names: list[str], weights: list[list[float]]
) -> Figure:
    """Draw a column an image: the image, and below a bar a label with its probability and slack.

    Parameters
    ----------
    images : Tensor (n, channels, H, W)
    titles : list of n str
    logits : list of n Tensor (m,)
        Of the labels shown.
    names : list of m str
    weights : list of n lists of m float
        Of the labels' constraints, written beside the slack; empty where there was no attack.
    """
    n = len(images)
    figure, axes = plt.subplots(
        2, n, figsize=(WIDTH * 1.1, 3.9), height_ratios=(1.5, 1), squeeze=False, layout="constrained"
    )
    for column in range(n):
        draw_image(axes[0, column], images[column], "", "")
        axes[0, column].set_title(titles[column], fontsize=11)
        probabilities = logits[column].sigmoid().tolist()
        axis = axes[1, column]
        hidden = [p <= 0.5 for p in probabilities]
        colours = [sns.color_palette()[2] if off else sns.color_palette()[3] for off in hidden]
        axis.barh(names, probabilities, color=colours, height=0.6)
        axis.axvline(0.5, color="black", lw=1, ls="--")
        for row, p in enumerate(probabilities):
            text = f"{p:.2f}"
            if weights[column]:
                text += f"   ζ {max(0.0, p - 0.5):.2f}, w {weights[column][row]:g}"
            axis.text(1.04, row, text, va="center", fontsize=10)
        axis.set(xlim=(0, 1), ylim=(-0.6, len(names) - 0.4), xlabel="probability", xticks=[0, 0.5, 1])
        axis.tick_params(axis="y", labelleft=column == 0)
        axis.invert_yaxis()
        axis.grid(visible=False)
    return figure
