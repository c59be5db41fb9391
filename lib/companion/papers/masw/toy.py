"""Figure 1 of the MASW paper: three planes on which the coarse measures cannot tell two attacks apart.

The paper gives the label sets of clean and attacked points; the five regions are those of the authors' video of the toy
attack: the plane [-1, 1] x [0, 1], cut by four lines around the start (0, 0.5).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flipbook.goals import top_k

START = (0.0, 0.5)
FARTHER = 1.5
STEP = 0.01  # of the grid on which adversarial points are looked for


@dataclass(frozen=True)
class Setting:
    """One of the three panels.

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
        """All labels of the panel; in panel c label 3 does not exist."""
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
    """A panel with a network that learnt its regions, and two adversarial points.

    Attributes
    ----------
    panel : Panel
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
        """Which of the panel's labels these are, (labels,) of bool."""
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
