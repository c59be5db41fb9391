"""Figure 1 of the MASW paper: planes with labels, two attacks, and what the old and the new measure say of them."""

from fractions import Fraction

import matplotlib.pyplot as plt
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.papers.masw.toy import Fitted, region
from companion.report.figures import WIDTH

MARKS = ("o", "^", "s")
NAMES = ("clean", "attack 1", "attack 2")
PLACES = (
    (-0.87, 0.86),
    (-0.62, 0.42),
    (0.0, 0.12),
    (0.62, 0.42),
    (0.86, 0.12),
)  # of the label sets, inside the regions
RELATION = {True: ">", False: "<"}


def label_planes(settings: list[Fitted], asked: list[str]) -> Figure:
    """Draw one plane a panel: regions with their labels, the clean point, two attacks, and below what measures say.

    Parameters
    ----------
    panels : list of Fitted
    asked : list of str
        What the attack of each panel is to do, for its title.
    """
    figure, axes = plt.subplots(
        2, len(settings), figsize=(WIDTH * 1.6, 4.5), height_ratios=(1.25, 1), squeeze=False, layout="constrained"
    )
    for number, (fitted, text) in enumerate(zip(settings, asked, strict=True)):
        _plane(axes[0, number], fitted)
        axes[0, number].set_title(f"({'abc'[number]}) {text}", fontsize=11)
        _box(axes[1, number], fitted)
    axes[0, 0].legend(loc="lower left", fontsize=9, frameon=True, borderpad=0.3)
    return figure


def _plane(axis: Axes, fitted: Fitted) -> None:
    x, y = torch.linspace(-1, 1, 401), torch.linspace(0, 1, 201)
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    colours = sns.color_palette("vlag", 5)
    axis.contourf(
        x, y, region(points.view(-1, 2)).view(201, 401), levels=[-0.5, 0.5, 1.5, 2.5, 3.5, 4.5], colors=colours
    )
    for (at_x, at_y), labels in zip(PLACES, fitted.setting.regions, strict=True):
        axis.text(at_x, at_y, _braces(labels), ha="center", va="center", fontsize=9)
    start = fitted.points[0].tolist()
    for row in (1, 2):
        arrow = {"arrowstyle": "-|>", "color": "black", "lw": 1.2, "shrinkA": 4, "shrinkB": 4}
        axis.annotate("", fitted.points[row].tolist(), start, arrowprops=arrow)
    for row, (mark, name) in enumerate(zip(MARKS, NAMES, strict=True)):
        axis.plot(*fitted.points[row].tolist(), mark, color="white" if row else "black", mec="black", ms=8, label=name)
    axis.set(xlim=(-1, 1), ylim=(0, 1), xticks=[-1, 0, 1], yticks=[0, 1], aspect="equal")
    axis.grid(visible=False)


def _box(axis: Axes, fitted: Fitted) -> None:
    """Write what each point shows and what the two measures are, as a small table."""
    coarse, soft = fitted.measures()
    setting = fitted.setting
    what = "first 3" if setting.k == 3 else "predicted"
    far = (fitted.points - fitted.points[0]).norm(dim=1).tolist()
    lines = [["", NAMES[1], "", NAMES[2]], [what, _braces(fitted.seen(1)), "", _braces(fitted.seen(2))]]
    lines += [["distance", f"{far[1]:.2f}", "<", f"{far[2]:.2f}"]]
    lines += [_compared(f"before: {setting.coarse}", coarse), _compared(f"new: {setting.soft}", soft)]
    axis.set_axis_off()
    better = soft.index(min(soft))
    lines += [["smaller is better", "✓" if better == 0 else "", "", "✓" if better == 1 else ""]]
    table = axis.table(lines, loc="center", cellLoc="center", edges="open", colWidths=[0.42, 0.24, 0.06, 0.24])
    table.auto_set_font_size(False)
    table.set_fontsize(9.5)
    table.scale(1, 1.25)
    for (row, column), cell in table.get_celld().items():
        if column == 0:
            cell.set_text_props(ha="left")
        if row in (0, 3, 4):
            cell.set_text_props(weight="bold")
        if row == 5:
            cell.set_text_props(color="0.4" if column == 0 else "C2", weight="normal" if column == 0 else "bold")


def _compared(name: str, values: list[float]) -> list[str]:
    first, second = (str(Fraction(value).limit_denominator(9)) for value in values)
    return [name, first, "=" if values[0] == values[1] else RELATION[values[0] > values[1]], second]


def _braces(labels) -> str:
    return "{" + ", ".join(map(str, labels)) + "}"
