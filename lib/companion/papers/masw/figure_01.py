"""Figure 1 of the MASW paper: the measures and attacks on a plane of two pixels, and the published rates again."""

from dataclasses import dataclass
from fractions import Fraction

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from companion.papers.masw import experiments as paper
from companion.report.figures import WIDTH
from flipbook.goals import top_k

START = (0.0, 0.5)
FARTHER = 1.5
STEP = 0.01  # of the grid on which adversarial points are looked for


@dataclass(frozen=True)
class Setting:
    """One of the three settings.

    Attributes
    ----------
    title : str
    regions : tuple of 5 tuples of int
        The labels of each region, from left to right.
    coarse, soft : str
        Names of the measure without and with degrees.
    k : int
        Of the ranking; 0 where labels are judged by the threshold alone.
    own, wanted, irrelevant : tuple of int
        Y, Y_t and B.
    """

    title: str
    regions: tuple[tuple[int, ...], ...]
    coarse: str
    soft: str
    k: int
    own: tuple[int, ...]
    wanted: tuple[int, ...] = ()
    irrelevant: tuple[int, ...] = ()

    @property
    def labels(self) -> list[int]:
        """All labels of the setting; in setting c label 3 does not exist."""
        return sorted({label for region in self.regions for label in region} | set(self.own + self.wanted))


PANELS = (
    Setting(
        "top-3 untargeted",
        ((1,), (1, 2, 3), (2, 3, 4), (4, 5, 6), (5, 6)),
        "AFD, Eq. 1",
        "AFD, Eq. 5",
        3,
        (2, 3, 4),
    ),
    Setting("labels to hide", ((2,), (1, 2), (1, 4, 5), (1, 3, 5), (3,)), "AFD, Eq. 2", "AFD, Eq. 6", 0, (1, 4, 5)),
    Setting(
        "top-2 targeted",
        ((1,), (1, 2, 8), (4, 5, 6, 7), (2, 4, 8), (4,)),
        "cost, Eq. 3",
        "cost, Eq. S.2",
        2,
        (6, 7),
        (2, 8),
        (1, 4, 5),
    ),
)


def region(points: Tensor) -> Tensor:
    """Number of the region, 0 to 4 from left to right, of points (n, 2)."""
    x, y = points.unbind(1)
    left = torch.stack([y > x + 1.5, y > 2 * x + 1])
    right = torch.stack([y > 1 - 2 * x, y < x - 0.5])
    return torch.where(left[0], 0, torch.where(left[1], 1, torch.where(right[1], 4, torch.where(right[0], 3, 2))))


def grid() -> Tensor:
    """All points of the plane that the video's attacks may be at, (20000, 2)."""
    x, y = torch.arange(-100, 100) * STEP, torch.arange(0, 100) * STEP
    return torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1).view(-1, 2)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A setting with a network that learnt its regions, and two adversarial points.

    Attributes
    ----------
    setting : Setting
    net : nn.Module
        Points (n, 2) to logits (n, labels).
    points : Tensor (3, 2)
        The clean point, the first adversarial point and the second.
    logits : Tensor (3, labels)
    """

    setting: Setting
    net: nn.Module
    points: Tensor
    logits: Tensor

    def mask(self, labels: tuple[int, ...]) -> Tensor:
        """Which of the setting's labels these are, (labels,) of bool."""
        return torch.tensor([label in labels for label in self.setting.labels])

    def seen(self, row: int) -> list[int]:
        """What counts at one of the three points: the first k labels (a), else those on the positive side."""
        found = top_k(self.logits, self.setting.k)[row] if self.setting.k == 3 else self.logits[row] > 0
        return [label for label, on in zip(self.setting.labels, found.tolist(), strict=True) if on]

    def measures(self) -> tuple[list[float], list[float]]:
        """The coarse and the soft measure at the two adversarial points."""
        pairs = [_measure(self, row) for row in (1, 2)]
        return [coarse for coarse, _ in pairs], [soft for _, soft in pairs]


def fit(
    setting: Setting, points: int = 2000, width: int = 64, epochs: int = 300, rate: float = 1e-2, seed: int = 1
) -> Fitted:
    """Train a network on uniform points of the plane and find two adversarial points in it.

    The first is the nearest one in the region left of the clean one, the second the nearest in the region right of it
    that is at least `FARTHER` times as far away, as the paper draws them.

    Raises
    ------
    ValueError
        Where no point of the grid has the labels that the paper gives: the network has not learnt the regions.
    """
    net = trained(setting, points, width, epochs, rate, seed)
    plane, start = grid(), torch.tensor([START])
    with torch.no_grad():
        logits = net(plane)
    distance = (plane - start).norm(dim=1)
    chosen = [start[0]]
    least = 0.0
    for place in (1, 3):  # the regions on both sides of the clean one
        fits = (region(plane) == place) & (distance >= least) & _as_wanted(setting, logits, setting.regions[place])
        if not fits.any():
            raise ValueError(f"{setting.title}: no point shows {setting.regions[place]}: train for more epochs")
        nearest = distance.masked_fill(~fits, torch.inf).argmin()
        chosen.append(plane[nearest])
        least = FARTHER * float(distance[nearest])
    points_ = torch.stack(chosen)
    with torch.no_grad():
        return Fitted(setting, net, points_, net(points_))


def trained(setting: Setting, points: int, width: int, epochs: int, rate: float, seed: int) -> nn.Module:
    """A ReLU network 2 - width - width - labels after full-batch Adam on the cross-entropy of every label."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(points, 2, generator=generator) * torch.tensor([2.0, 1.0]) - torch.tensor([1.0, 0.0])
    y = torch.tensor([[float(label in of) for label in setting.labels] for of in setting.regions])[region(x)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, y.shape[1]))
        net = nn.Sequential(*layers)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    for _ in range(epochs):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(x), y).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


def _as_wanted(setting: Setting, logits: Tensor, labels: tuple[int, ...]) -> Tensor:
    """Whether points (n, labels) show what the paper says of an adversarial point in the region with these labels."""
    there = torch.tensor([label in labels for label in setting.labels])
    if setting.k == 3:
        return (top_k(logits, 3) == there).all(dim=1)
    right = ((logits > 0) == there).all(dim=1)
    if setting.wanted:
        wanted = torch.tensor([label in setting.wanted for label in setting.labels])
        right &= (top_k(logits, setting.k) == wanted).all(dim=1)
    return right


def _measure(fitted: Fitted, row: int) -> tuple[float, float]:
    setting, clean, after = fitted.setting, fitted.logits[0] > 0, fitted.logits[row] > 0
    own, others = fitted.mask(setting.own), fitted.mask(setting.irrelevant)
    if setting.irrelevant:  # Eq. 3 and S.2: irrelevant labels that keep their side
        kept = (clean == after)[others].double().mean().item()
        return float(kept < 1), 1 - kept
    if setting.k:  # Eq. 1 with strict inclusions, and Eq. 5
        first = top_k(fitted.logits, setting.k)[row]
        inside, covers = bool((own & ~first).sum() == 0), bool((first & ~own).sum() == 0)
        return float(inside or covers), (own & first).sum().item() / min(int(own.sum()), setting.k)
    left = after[own].double()  # Eq. 2 and Eq. 6
    return float(left.any()), left.mean().item()


METHODS = ("FGSM", "PGD", "ML-C&W", "TkML", "MASW")


def asr_eq1(present: Tensor, logits: Tensor, k: int) -> Tensor:
    """Whether AFD (Eq. 1) is 0, (N,) of bool: neither Y within the first k labels nor these within Y.

    Parameters
    ----------
    present : Tensor (N, C) of bool
        Y.
    logits : Tensor (N, C)
        Of the attacked images.
    k : int
    """
    first = top_k(logits, k)
    inside, around = ~(present & ~first).any(dim=1), ~(first & ~present).any(dim=1)
    return ~(inside | around)


def rates(setup: paper.Setup, k: int, methods: tuple[str, ...] = METHODS) -> pd.DataFrame:
    """The three rates of untargeted attacks with the tables' settings, in percent over the setup's images.

    Returns
    -------
    DataFrame
        A line a method: method, ASR by Eq. 1, ASR, SASR.
    """
    lines = []
    for name in methods:
        config = paper.config(setup, name, ("", k))
        attacked = config.attack(setup.model, setup.images, config.goal, **config.hyper).images
        with torch.no_grad():
            before, after = setup.model(setup.images), setup.model(attacked)
        measures = config.goal.measures(before, after)
        eq1 = asr_eq1(setup.present, after, k)
        values = {"ASR by Eq. 1": eq1, "ASR": measures["asr"], "SASR": measures["sasr"]}
        lines.append({"method": name} | {what: 100 * value.double().mean().item() for what, value in values.items()})
    return pd.DataFrame(lines)


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
    """Draw one plane a setting: regions with their labels, the clean point, two attacks, and below what measures say.

    Parameters
    ----------
    settings : list of Fitted
    asked : list of str
        What the attack of each setting is to do, for its title.
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
