"""Figure 4 of the MASW paper: images with all their labels in order, the first k and the predicted ones framed."""

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from companion.papers.masw.goals import Ranking
from companion.report.figures import WIDTH, draw_image

KINDS = {"own": (3, "Y, the image's labels"), "target": (2, "Y_t, the targets"), "other": (7, "other labels")}


def rankings(drawn: list[Ranking], titles: list[str]) -> Figure:
    """Draw a column a ranking: its image above, its labels below, largest logit first.

    Parameters
    ----------
    drawn : list of Ranking
    titles : list of str
        One each.
    """
    rows = len(drawn[0].names)
    figure, axes = plt.subplots(
        2, len(drawn), figsize=(WIDTH * 1.1, 2.6 + 0.2 * rows), height_ratios=(1.9, 0.2 * rows), layout="constrained"
    )
    for column, (ranking, title) in enumerate(zip(drawn, titles, strict=True)):
        draw_image(axes[0, column], ranking.image, "", "")
        axes[0, column].set_title(title, fontsize=11)
        _list(axes[1, column], ranking)
    handles = [Patch(color=sns.color_palette("pastel")[colour], label=text) for colour, text in KINDS.values()]
    handles.append(Patch(fc="none", ec="black", lw=2, label=f"the first {drawn[0].k}"))
    handles.append(Patch(fc="none", ec="black", ls=":", lw=1.5, label="above 0.5"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9)
    return figure


def _list(axis: Axes, ranking: Ranking) -> None:
    rows = len(ranking.names)
    axis.set(xlim=(-0.09, 1.09), ylim=(rows + 0.2, -0.3))
    axis.set_axis_off()
    for place, (name, kind) in enumerate(zip(ranking.names, ranking.kinds, strict=True)):
        colour = sns.color_palette("pastel")[KINDS[kind][0]]
        axis.add_patch(Rectangle((0.04, place + 0.06), 0.92, 0.88, color=colour, lw=0))
        weight = "normal" if kind == "other" else "bold"
        axis.text(0.5, place + 0.52, name, ha="center", va="center", fontsize=9, weight=weight)
    axis.add_patch(Rectangle((0, 0), 1, ranking.k, fill=False, ec="black", lw=2))
    if ranking.on:
        axis.add_patch(Rectangle((-0.06, -0.15), 1.12, ranking.on + 0.2, fill=False, ec="black", lw=1.5, ls=":"))
