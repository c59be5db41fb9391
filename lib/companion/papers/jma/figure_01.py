"""A step seen in two planes at once: what the outputs do, and what the inputs do (JMA, Figure 1)."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.report.figures import WIDTH


def two_planes(
    model, x0: Tensor, J: Tensor, d_plain: Tensor, d_best: Tensor, δ_plain: Tensor, δ_best: Tensor
) -> Figure:
    """Draw the target region "both outputs positive", two displacements d (2,) of the output and their δ (2,).

    Parameters
    ----------
    model : callable
        Inputs (n, 1, 1, 2) in [0, 1] to outputs (n, 2).
    x0 : Tensor (1, 1, 1, 2)
    J : Tensor (2, 2)
        The Jacobian at x0.
    d_plain, d_best, δ_plain, δ_best : Tensor (2,)
        The Euclidean choice and JMA's.
    """
    figure, (outputs, inputs) = plt.subplots(1, 2, figsize=(WIDTH * 1.2, WIDTH * 0.55), layout="constrained")
    grey, blue, red = "0.45", *sns.color_palette("colorblind")[:2]
    z0, start = model(x0)[0].numpy(), x0.flatten().numpy()
    steps = ((d_plain, δ_plain, red, "'"), (d_best, δ_best, blue, "*"))

    _cost_ellipses(outputs, z0, J.numpy(), [d_plain.numpy(), d_best.numpy()], (red, blue))
    _target_region(outputs, z0, np.stack([d_plain, d_best]))
    outputs.plot(*z0, "o", color="black")
    outputs.annotate("$f(x_0)$", z0, textcoords="offset points", xytext=(-8, -16))
    for d, _, colour, mark in steps:
        _arrow(outputs, z0, d.numpy(), colour, f"$r{mark}$ = $f(x_0) + d{mark}$")
    outputs.set(xlabel="output $z_1$", ylabel="output $z_2$", title="outputs: each ellipse costs the image the same")

    _boundaries(inputs, model, grey, top=max(1.0, *(1.05 * float((x0.flatten() + δ).max()) for δ in (δ_plain, δ_best))))
    inputs.plot(*start, "o", color="black")
    inputs.annotate("$x_0$", start, textcoords="offset points", xytext=(-16, -4))
    for _, δ, colour, mark in steps:
        _arrow(inputs, start, δ.numpy(), colour, f"$\\delta{mark}$, length {δ.norm():.3f}")
    inputs.set(
        xlabel="input $x_1$", ylabel="input $x_2$", title="inputs: both labels on in the shaded part", aspect="equal"
    )
    for axis in (outputs, inputs):
        axis.legend(loc="lower right", fontsize=9, frameon=True)
    return figure


def _arrow(axis: Axes, start: np.ndarray, step: np.ndarray, colour, label: str) -> None:
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", start + step, start, arrowprops=arrow)
    axis.plot(*(start + step), "o", color=colour, label=label, markersize=6)


def _cost_ellipses(axis: Axes, centre: np.ndarray, J: np.ndarray, displacements, colours) -> None:
    """Draw {z0 + J δ : |δ| = r} through each displacement: all points that cost the image the same (first order)."""
    circle = np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 200)), np.sin(t)])
    for d, colour in zip(displacements, colours, strict=True):
        radius = np.linalg.norm(np.linalg.solve(J, d))
        axis.plot(*(centre[:, None] + radius * J @ circle), color=colour, lw=1, ls="--", alpha=0.8)


def _target_region(axis: Axes, centre: np.ndarray, steps: np.ndarray) -> None:
    ends = np.vstack([centre, centre + steps, np.zeros((1, 2))])
    reach = np.ptp(ends, axis=0)
    low, high = ends.min(axis=0) - 0.35 * reach, ends.max(axis=0) + 0.35 * reach
    axis.fill_between([0, high[0]], 0, high[1], color="0.88", zorder=0)
    axis.text(high[0], high[1], "target region ", ha="right", va="top", fontsize=9, color="0.35")
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def _boundaries(axis: Axes, model, colour, top: float) -> None:
    ticks = torch.linspace(0, top, 200, dtype=torch.float64)
    first, second = torch.meshgrid(ticks, ticks, indexing="xy")
    points = torch.stack([first, second], dim=-1).view(-1, 1, 1, 2)
    z = model(points).view(200, 200, 2).numpy()
    axis.contourf(ticks, ticks, z.min(axis=2), levels=[0, np.inf], colors=["0.88"], zorder=0)
    for j, style in enumerate(("-", "--")):
        axis.contour(ticks, ticks, z[:, :, j], levels=[0], colors=[colour], linestyles=style, linewidths=1.2)
        axis.plot([], [], style, color=colour, lw=1.2, label=f"$z_{j + 1} = 0$")
    axis.set(xlim=(0, top), ylim=(0, top))
