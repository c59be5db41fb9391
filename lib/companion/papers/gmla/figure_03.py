"""A knowledge graph as a tree that grows to the right: what is annotated, what is abstract, what goes off with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

from companion.report.figures import PALETTE, WIDTH
from flipbook.graphs.graph import KnowledgeGraph

FAMILY = "DejaVu Sans"
LARGE, SMALL = 9.5, 7.5  # points; small where there are more than FEW labels
FEW = 60
# In font sizes: rows, free rows between roots, columns apart, a box beyond its text, the height of a box
ROW, BETWEEN, GAP, PAD, HEIGHT = 2.0, 0.5, 2.0, 0.5, 1.55
MARGIN, HEADER = 0.12, 0.5  # inches
INK, FAINT = "0.15", "0.62"
WHITE, GREY = (1.0, 1.0, 1.0), (0.45, 0.45, 0.45)
MARKS = ((0.80, 0.28, 0.0), (0.98, 0.70, 0.35), (0.35, 0.62, 0.85), (0.45, 0.72, 0.45))


@dataclass
class _Box:
    """One label in a box whose left end and middle are at (x, y), in inches from the drawing's left and top."""

    text: str
    x: float
    y: float
    width: float
    slanted: bool
    face: tuple
    edge: tuple


def draw(graph: KnowledgeGraph, highlight: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw a graph, roots at the left and one leaf a row; the roots of a shallow forest stand in settings side by side.

    Annotated labels are in filled boxes, abstract ones slanted in open boxes. Each root lends its tree a colour, unless
    something is highlighted.

    Parameters
    ----------
    graph : KnowledgeGraph
    highlight : mapping of str to sequence of str, optional
        Labels to bring out, by what the legend calls them, such as {"Ω": ["cat"], "Ψ": ["cat", "carnivore"]}; a label
        in several groups gets the colour of the first. Up to four groups.

    Returns
    -------
    Figure
        `companion.report.figures.WIDTH` inches wide, wider only for a graph too deep for that.

    Raises
    ------
    ValueError
        For a graph without labels, a highlighted label that is not in the graph, and more than four groups.
    """
    if not len(graph):
        raise ValueError(f"graph {graph.name!r} has no labels: there is nothing to draw")
    highlight = highlight or {}
    groups = _groups(graph, highlight)
    em = (LARGE if len(graph) <= FEW else SMALL) / 72  # one font size in inches
    widths = [_width(_shown(label), slant, em) for label, slant in zip(graph.labels, graph.abstract, strict=True)]
    settings = _settings(graph, widths, em)
    across = [_columns(graph, widths, setting, em)[-1] for setting in settings]
    wide = max(WIDTH, sum(across) + MARGIN * (len(settings) + 1))
    high = HEADER + ROW * em * max(_rows(graph, setting) for setting in settings) + MARGIN
    figure = plt.figure(figsize=(wide, high))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(high, 0))
    axis.axis("off")
    free = (wide - sum(across)) / (len(settings) + 1)  # before, between and after the settings
    _legend(axis, graph, list(highlight), free, em)
    colours, left = _colours(graph, groups), free
    for setting, reach in zip(settings, across, strict=True):
        boxes = _placed(graph, widths, setting, left, em, colours)
        _links(axis, graph, boxes, em)
        for box in boxes.values():
            _draw_box(axis, box, em)
        left += reach + free
    return figure


def _groups(graph: KnowledgeGraph, highlight: Mapping[str, Sequence[str]]) -> dict[int, int]:
    """Number of the first group of every highlighted label, by column."""
    if len(highlight) > len(MARKS):
        raise ValueError(f"highlight has {len(highlight)} groups: there are colours for {len(MARKS)}")
    groups: dict[int, int] = {}
    for number, labels in enumerate(highlight.values()):
        for label in labels:
            groups.setdefault(graph.index(label), number)
    return groups


def _shown(label: str) -> str:
    return label.replace("_", " ")


def _width(text: str, slanted: bool, em: float) -> float:
    """Inches that a box with a text is wide; letters are set a little wider on screens than in theory."""
    font = FontProperties(family=FAMILY, size=72 * em, style="italic" if slanted else "normal")
    return 1.03 * TextPath((0, 0), text, prop=font).vertices[:, 0].max(initial=0) / 72 + 2 * PAD * em


def _below(graph: KnowledgeGraph, node: int) -> list[int]:
    """A label and everything beneath it, in the order of drawing."""
    return [node, *(lower for child in graph.children[node] for lower in _below(graph, child))]


def _rows(graph: KnowledgeGraph, setting: Sequence[int]) -> float:
    leaves = sum(not graph.children[node] for root in setting for node in _below(graph, root))
    return leaves + BETWEEN * (len(setting) - 1)


def _columns(graph: KnowledgeGraph, widths: list[float], setting: Sequence[int], em: float) -> list[float]:
    """Where the boxes of each depth begin, and last where the setting ends, in inches from its left."""
    depths, widest = graph.depth.tolist(), {}
    for node in (node for root in setting for node in _below(graph, root)):
        widest[depths[node]] = max(widest.get(depths[node], 0.0), widths[node])
    *starts, end = accumulate((widest[depth] + GAP * em for depth in sorted(widest)), initial=0.0)
    return [*starts, end - GAP * em]


def _settings(graph: KnowledgeGraph, widths: list[float], em: float) -> list[list[int]]:
    """Part the roots, in order, so that the drawing gets as low as its width allows."""
    best = [list(graph.roots)]
    for count in range(2, len(graph.roots) + 1):
        settings = _balanced(graph, count)
        apart = 1.5 * GAP * em * (len(settings) + 1)
        if sum(_columns(graph, widths, setting, em)[-1] for setting in settings) + apart > WIDTH:
            break
        best = settings
    return best


def _balanced(graph: KnowledgeGraph, count: int) -> list[list[int]]:
    """Part the roots into `count` runs at most, the longest as short as possible."""
    rows = [_rows(graph, [root]) for root in graph.roots]
    ends = list(accumulate((n + BETWEEN for n in rows), initial=0.0))
    for most in sorted({end - start - BETWEEN for start, end in combinations(ends, 2)}):
        settings, used = [[]], -BETWEEN
        for root, n in zip(graph.roots, rows, strict=True):
            used += BETWEEN + n
            if used > most and settings[-1]:
                settings.append([])
                used = n
            settings[-1].append(root)
        if len(settings) <= count and max(rows) <= most:
            return settings
    return [list(graph.roots)]


def _placed(graph, widths, setting, left: float, em: float, colours) -> dict[int, _Box]:
    """Boxes of a setting: leaves one below the other, every other label half-way between its first and last child."""
    starts = _columns(graph, widths, setting, em)
    boxes: dict[int, _Box] = {}
    line = -0.5 - BETWEEN
    for root in setting:
        line += BETWEEN
        nodes = _below(graph, root)
        lines: dict[int, float] = {}
        for node in nodes:
            if not graph.children[node]:
                lines[node] = line = line + 1
        for node in reversed(nodes):
            if graph.children[node]:
                lines[node] = (lines[graph.children[node][0]] + lines[graph.children[node][-1]]) / 2
        for node in nodes:
            x, y = left + starts[graph.depth[node]], HEADER + ROW * em * lines[node]
            text, slanted = _shown(graph.labels[node]), bool(graph.abstract[node])
            boxes[node] = _Box(text, x, y, widths[node], slanted, *colours[node])
    return boxes


def _colours(graph: KnowledgeGraph, groups: dict[int, int]) -> list[tuple]:
    """Face and edge of every box."""
    palette = sns.color_palette(PALETTE)
    colours = [()] * len(graph)
    for number, root in enumerate(graph.roots):
        own = GREY if groups else palette[number % len(palette)]
        for node in _below(graph, root):
            colours[node] = (WHITE if graph.abstract[node] else _tint(own), _shade(own))
    for node, group in groups.items():
        colours[node] = (MARKS[group], _shade(MARKS[group]))
    return colours


def _tint(colour: tuple) -> tuple:
    return tuple(0.72 + 0.28 * part for part in colour)


def _shade(colour: tuple) -> tuple:
    return tuple(0.8 * part for part in colour)


def _links(axis: Axes, graph: KnowledgeGraph, boxes: dict[int, _Box], em: float) -> None:
    """One line out of every parent, one down, one into every child."""
    lines = []
    for node, box in boxes.items():
        ends = [boxes[child] for child in graph.children[node]]
        if ends:
            bend = ends[0].x - GAP * em / 2
            lines.append([(box.x + box.width, box.y), (bend, box.y)])
            lines.append([(bend, ends[0].y), (bend, ends[-1].y)])
            lines += [[(bend, end.y), (end.x, end.y)] for end in ends]
    axis.add_collection(LineCollection(lines, colors=FAINT, linewidths=1, capstyle="round", zorder=1))


def _draw_box(axis: Axes, box: _Box, em: float) -> None:
    corner, height = (box.x, box.y - HEIGHT * em / 2), HEIGHT * em
    shape = f"round,pad=0,rounding_size={height / 3}"
    look = {"facecolor": box.face, "edgecolor": box.edge, "lw": 0.9, "zorder": 2}
    axis.add_patch(FancyBboxPatch(corner, box.width, height, boxstyle=shape, **look))
    axis.text(
        box.x + box.width / 2,
        box.y + 0.36 * em,  # the line on which letters stand
        box.text,
        ha="center",
        size=72 * em,
        family=FAMILY,
        style="italic" if box.slanted else "normal",
        color="white" if sum(box.face) < 1.4 else INK,
        zorder=3,
    )


def _legend(axis: Axes, graph: KnowledgeGraph, groups: list[str], x: float, em: float) -> None:
    """One line of boxes at the top that say what boxes look like."""
    entries = [("annotated label", False, _tint(GREY), _shade(GREY))]
    if graph.abstract.any():
        entries.append(("abstract label", True, WHITE, _shade(GREY)))
    entries += [(name, False, MARKS[i], _shade(MARKS[i])) for i, name in enumerate(groups)]
    for text, slanted, face, edge in entries:
        box = _Box(text, x, 0.2, _width(text, slanted, em), slanted, face, edge)
        _draw_box(axis, box, em)
        x += box.width + GAP * em / 2
