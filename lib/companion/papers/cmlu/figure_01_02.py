"""Figures 1 and 2 of the CMLU paper: what two vectors and their sum do, on images and in their plane."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.papers.cmlu import figure_05
from companion.papers.cmlu.experiments import Setup, learn
from companion.report.figures import WIDTH
from companion.report.gallery import strips
from flipbook import universal
from flipbook.universal.pool import named

LOW, HIGH, POINTS, IMAGES = -0.4, 1.6, 21, 24  # of the planes: axes in units of ε, points of an axis, test images


def composed(setup: Setup, omega: tuple[int, int], shown: Sequence[int]) -> Figure:
    """Draw images of a pair clean, under either vector of CMLU_beta alone, under their sum, and under the Oracle's sum.

    Parameters
    ----------
    setup : Setup
    omega : (int, int)
        The pair of labels.
    shown : sequence of int
        Which images, counted in the order of `plane.telling`.
    """
    beta, oracle = learn(setup, "CMLU_beta"), learn(setup, "Or-S")
    first, second = (setup.test.names[label] for label in omega)
    columns = {
        f"− {first}": (beta, (omega[0],)),
        f"− {second}": (beta, (omega[1],)),
        "CMLU-β sum": (beta, omega),
        "Oracle sum": (oracle, omega),
    }
    strip = []
    for i in figure_05.telling(setup, "CMLU_beta", omega, max(shown) + 1)[list(shown)]:
        pictures = {"benign": (setup.test.take(i[None])[0], _seen(setup, setup.test.logits[i]))}
        for name, (basis, part) in columns.items():
            logits = figure_05.attacked_logits(setup, basis, part, i[None])[0]
            pictures[name] = (figure_05.attacked(setup, basis, part, i[None])[0], _seen(setup, logits))
        strip.append(("", pictures))
    return strips(strip, side=1.7)


def _seen(setup: Setup, logits: Tensor) -> str:
    """The labels that the victim sees, one a line."""
    on = tuple((logits > 0).nonzero().flatten().tolist())
    return "sees " + (named(on, setup.test.names).replace(", ", "\n") or "nothing")


def cones(setup: Setup, omega: tuple[int, int]) -> Figure:
    """Draw the plane of a pair's vectors, of the Oracle and of CMLU_beta: where both labels go off, ball and cones."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH * 1.2, 4.3), sharey=True, layout="constrained")
    for axis, method in zip(axes, ("Or-S", "CMLU_beta"), strict=True):
        colours = _plane(axis, setup, method, omega)
        (_oracle if method == "Or-S" else _cones)(axis, setup, omega)
    axes[0].set_ylabel("$e_y$")
    figure.colorbar(colours, ax=axes, shrink=0.8, label="share of images with both labels off")
    return figure


def _plane(axis: Axes, setup: Setup, method: str, omega: tuple[int, int]):
    """Share of images with both labels off over the plane, with the ball's edge and the two vectors."""
    ε = setup.setting.epsilon
    found = universal.plane(
        learn(setup, method), setup.test, [omega], low=LOW * ε, high=HIGH * ε, points=POINTS, images=IMAGES
    )
    colours = axis.pcolormesh(
        found.axis, found.axis, found.both, vmin=0, vmax=1, cmap="Blues", shading="nearest", rasterized=True
    )
    axis.plot(*found.ball.T, color="black", lw=1.2)
    first, second = (setup.test.names[label] for label in omega)
    for x, y, text, place in ((ε, 0, f"$u$ {first}", (-62, -15)), (0, ε, f"$u$ {second}", (5, 3))):
        axis.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.6})
        axis.annotate(text, (x, y), textcoords="offset points", xytext=place, fontsize=9)
    ends = found.axis[[0, -1]].tolist()
    axis.set(xlim=ends, ylim=ends, aspect="equal", xlabel="$e_x$")
    axis.grid(visible=False)
    return colours


def _oracle(axis: Axes, setup: Setup, omega: tuple[int, int]) -> None:
    """Mark where the Oracle's own vector of the pair falls on the plane."""
    own = learn(setup, "Oracle", 2).compose(omega)
    x, y, share = figure_05.coordinates(learn(setup, "Or-S"), own, omega)
    text = f"the Oracle's own vector\nfor both: {100 * (1 - share):.0f} % of it\noutside the plane"
    _cross(axis, x, y, text, xytext=(-38, -58), fontsize=8)
    every = 2 ** len(setup.labels) - 1
    axis.set_title(f"Oracle: a vector for each of the\n{every} target sets of {len(setup.labels)} labels")


def _cones(axis: Axes, setup: Setup, omega: tuple[int, int]) -> None:
    """Hatch both labels' cones, and mark the sum, which lies in both."""
    reach = HIGH * setup.setting.epsilon
    corners = (([0, reach, reach], [0, 0, reach], "C1", "//"), ([0, reach, 0], [0, reach, reach], "C2", "\\\\"))
    for label, (x, y, colour, hatch) in zip(omega, corners, strict=True):
        name = f"cone of {setup.test.names[label]}"
        axis.fill(x, y, facecolor="none", edgecolor=colour, hatch=hatch, lw=0, label=name)
    basis = learn(setup, "CMLU_beta")
    x, y, _ = figure_05.coordinates(basis, basis.compose(omega), omega)
    _cross(axis, x, y, "the sum", xytext=(8, -4), fontsize=9, backgroundcolor="white")
    axis.set_title(f"CMLU-β: a cone for each of\n{len(setup.labels)} labels")
    axis.legend(loc="upper right", fontsize=9, frameon=True)


def _cross(axis: Axes, x: float, y: float, text: str, **style) -> None:
    axis.plot(x, y, "X", color="C3", markersize=9)
    axis.annotate(text, (x, y), textcoords="offset points", color="C3", **style)
