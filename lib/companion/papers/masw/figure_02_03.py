"""Figures 2 and 3 of the MASW paper: what one hard constraint, and five of them, do to an attack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from companion.papers.masw import experiments as paper
from companion.report import Claims
from companion.report.figures import WIDTH, draw_image
from companion.report.run_paths import draw_paths, middle
from flipbook import evaluation
from flipbook.attacks.ml_cw_descent import hinges
from flipbook.evaluation import AttackConfig
from flipbook.goals import HideLabels, TopKEquals

FEWEST_CHANGED = 4  # images, for a verdict on which of two attacks hides more
FAILURES = ("missed", "afd_slc", "afd_slf")


@dataclass(frozen=True, eq=False)
class EveryLabel(TopKEquals):
    """`TopKEquals` whose loss per label asks for every label: the targets on, all others off.

    Figure 3a is about more than ten constraints, which the labels that an image has would not be.
    """

    def per_label(self) -> HideLabels:
        """All labels but the targets absent."""
        return HideLabels(~self.target, self.target)

    def measures(self, before: Tensor, after: Tensor) -> dict[str, Tensor]:
        """Also missed, the share of all constraints that are not met."""
        missed = (self.per_label().margins(after) <= 0).float().mean(dim=1)
        return super().measures(before, after) | {"missed": missed}


def every_label(setup: paper.Setup, block: paper.Block) -> EveryLabel:
    """The goal of a targeted block with a constraint for each label."""
    case, k = block
    return EveryLabel(setup.targets(case, k), k, setup.present)


def hardest(slack: Tensor, number: int) -> Tensor:
    """Mark the constraints of an image with the largest slack (n, C), (n, C) of bool; equal ones by their order."""
    order = slack.argsort(dim=1, descending=True, stable=True)
    return torch.zeros_like(slack, dtype=torch.bool).scatter_(1, order[:, :number], True)


def logits_of(setup: paper.Setup, images: Tensor) -> Tensor:
    """The model's logits (n, C) of images (n, channels, H, W), computed where the model is and brought back."""
    with torch.no_grad():
        return setup.model(images.to(next(setup.model.parameters()).device)).to(setup.images.device)


def slacks(setup: paper.Setup, goal, rows: pd.DataFrame) -> Tensor:
    """ML-C&W's slack max(0, -y_j z_j) on the attacked images behind these rows, (n, C), in logits."""
    return hinges(goal, logits_of(setup, evaluation.pictures(rows)))


def weighed(setup: paper.Setup, block: paper.Block, goal, which: Tensor, factor: float, **options) -> AttackConfig:
    """ML-C&W with the constraints in `which` (n, C of bool) multiplied by a factor."""
    factors = torch.ones_like(which, dtype=setup.images.dtype).masked_fill_(which, factor)
    config = paper.config(setup, "ML-C&W", block, **options)
    return replace(config, parameters=f"{factor:g}", goal=goal, per_image={"factors": factors})


def over_factors(
    setup: paper.Setup, block: paper.Block, factors: Sequence[float], number: int = 5, share: float = 1.0, **options
) -> pd.DataFrame:
    """Rows of ML-C&W under every factor of its hardest constraints: so many with the largest slack at factor 1.

    Parameters
    ----------
    setup : paper.Setup
    block : (str, int)
        Targeted.
    factors : sequence of float
        1 is always run, for it tells which constraints are hard.
    share : float
        Of the setting's τ.

    Returns
    -------
    DataFrame
        Of `paper.run`, with `factor`, the measures of failure `missed`, `afd_slc` = 1 - SASR and `afd_slf` = 1 - LFR,
        and `hard_targets`, the share of targets among the hardest constraints.
    """
    goal, radius = every_label(setup, block), {"radius": share * setup.setting.targeted}
    none = torch.zeros_like(setup.present)
    plain = paper.run(
        setup, {block: [weighed(setup, block, goal, none, 1, **radius)]}, keep_images=len(goal), **options
    )
    which = hardest(slacks(setup, goal, plain), number)
    others = [weighed(setup, block, goal, which, factor, **radius) for factor in factors if factor != 1]
    rows = pd.concat([plain, paper.run(setup, {block: others}, **options)], ignore_index=True)
    hard = (goal.target & which).sum(dim=1) / which.sum(dim=1)
    return rows.assign(
        factor=rows["parameters"].astype(float),
        afd_slc=1 - rows["sasr"],
        afd_slf=1 - rows["lfr"],
        hard_targets=hard.tolist() * (len(others) + 1),
    )


def relative(rows: pd.DataFrame, measure: str) -> pd.Series:
    """A measure of every row over its data set's mean at factor 1; NaN where that is 0."""
    base = rows[rows["factor"] == 1].groupby("dataset")[measure].mean()
    return rows[measure] / rows["dataset"].map(base.where(base > 0))


def curve(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean of `relative` by data set and factor, with two standard errors of its difference from factor 1."""
    rows = rows.assign(value=relative(rows, measure))
    own = rows[rows["factor"] == 1].set_index(["dataset", "image"])["value"]
    change = rows["value"].to_numpy() - own.loc[list(zip(rows["dataset"], rows["image"], strict=True))].to_numpy()
    groups = rows.assign(change=change).sort_values("factor", kind="stable").groupby(["dataset", "factor"], sort=False)
    lines = groups["value"].mean().to_frame().assign(error=2 * groups["change"].std(ddof=1) / groups.size() ** 0.5)
    return lines.reset_index()


def with_labels(setup: paper.Setup, number: int) -> list[int]:
    """Places of the images with exactly so many labels, in order.

    Raises
    ------
    ValueError
        When there is none.
    """
    places = (setup.present.sum(dim=1) == number).nonzero().flatten().tolist()
    if not places:
        raise ValueError(f"none of {len(setup.indices)} images has {number} labels: give a larger number of images")
    return places


@dataclass(frozen=True, eq=False)
class Shown:
    """One image clean, attacked with equal weights, and attacked with less weight on its hardest constraint.

    Attributes
    ----------
    index : int
        Place in the data set.
    names : list of m str
        Its labels.
    images : Tensor (3, channels, H, W)
    logits : list of 3 Tensor (m,)
    label : int
        Place of the label with the hardest constraint.
    factor : float
        Its weight in the second attack.
    """

    index: int
    names: list[str]
    images: Tensor
    logits: list[Tensor]
    label: int
    factor: float

    @property
    def weights(self) -> list[list[float]]:
        """Weights of the labels' constraints in each of the three; none on the clean image."""
        ones = [1.0] * len(self.names)
        return [[], ones, [self.factor if i == self.label else 1.0 for i in range(len(ones))]]

    def lines(self) -> pd.DataFrame:
        """A line a label: probabilities on all three, and slack after the attack with equal weights, also in logits."""
        clean, equal, lighter = (z.sigmoid().tolist() for z in self.logits)
        slack = [max(0.0, p - 0.5) for p in equal]
        columns = {"label": self.names, "clean": clean, "equal weights": equal, "slack": slack}
        columns["slack (logits)"] = self.logits[1].clamp(min=0).tolist()
        return pd.DataFrame(columns | {"weight then": self.weights[2], "less weight on one": lighter})


@dataclass(frozen=True, eq=False)
class OneHard:
    """Figure 2's two attacks on several images, and the one to show.

    Attributes
    ----------
    shown : Shown
    off : Tensor (2, n)
        Labels hidden by either attack.
    found : Tensor (n,) of bool
        One label hidden with equal weights, all but the hard one with less weight on it.
    seconds : float
    """

    shown: Shown
    off: Tensor
    found: Tensor
    seconds: float

    @property
    def more(self) -> Tensor:
        """Images on which less weight hides more labels, (n,) of bool."""
        return self.off[1] > self.off[0]

    @property
    def fewer(self) -> Tensor:
        """Images on which it hides fewer."""
        return self.off[1] < self.off[0]

    def claim(self, claims: Claims, place: str) -> None:
        """The paper's example occurs, and less weight on the hardest constraint helps more images than it harms."""
        figures = f"on {int(self.found.sum())} of {len(self.found)} images"
        text = "With less weight on one hard constraint both other labels are hidden, with equal weights only one"
        claims.check(text, place, figures, bool(self.found.any()))
        better, worse = int(self.more.sum()), int(self.fewer.sum())
        figures = f"more labels hidden on {better}, fewer on {worse} of {len(self.off[0])} images"
        few = better + worse < FEWEST_CHANGED
        text = "Less weight on the hardest constraint hides more labels on more images than it hides fewer on"
        reason = f"fewer than {FEWEST_CHANGED} images change" if few else ""
        claims.check(text, place, figures, None if few else better > worse, reason)


def one_hard_constraint(
    setup: paper.Setup, labels: int, factor: float, share: float, images: int = 8, **options
) -> OneHard:
    """Attack images with so many labels with equal weights, then with less weight on their hardest constraint.

    Parameters
    ----------
    setup : paper.Setup
    labels : int
        |Y|, at least 2.
    factor : float
        Weight of the hardest constraint, the one with the largest slack under equal weights.
    share : float
        Of the setting's untargeted τ.
    images : int
        So many with these labels are attacked. Shown is the first that `OneHard.found` is about; without any, the
        first on which more are hidden; without any, the first.
    """
    setup = setup[with_labels(setup, labels)[:images]]
    block, radius = ("", 3), {"radius": share * setup.setting.untargeted, "hide": True}
    goal, none = setup.goal(block, True), torch.zeros_like(setup.present)
    keep = options | {"keep_images": len(goal)}
    equal = paper.run(setup, {block: [weighed(setup, block, goal, none, 1, **radius)]}, **keep)
    which = hardest(slacks(setup, goal, equal), 1)
    lighter = paper.run(setup, {block: [weighed(setup, block, goal, which, factor, **radius)]}, **keep)
    pictures = [setup.images, *(evaluation.pictures(rows).to(setup.images) for rows in (equal, lighter))]
    logits = [logits_of(setup, x) for x in pictures]
    off = torch.stack([(setup.present & (z <= 0)).sum(dim=1) for z in logits[1:]])
    found = (off[0] == 1) & (off[1] == labels - 1) & ~(which & (logits[2] <= 0)).any(dim=1)
    i = int((2 * found.int() + (off[1] > off[0])).argmax())
    own = setup.present[i].nonzero().flatten()
    label = int(which[i][own].int().argmax())
    names = [setup.data.labels[j] for j in own.tolist()]
    shown = Shown(
        setup.indices[i], names, torch.stack([x[i] for x in pictures]), [z[i][own] for z in logits], label, factor
    )
    return OneHard(shown, off, found, equal["seconds"].sum() + lighter["seconds"].sum())


FAILURE_TITLES = {"missed": "constraints missed", "afd_slc": "targets not among the first k"}
STYLES = {"missed": "-", "afd_slc": "--"}


def draw_failures(axis: Axes, curves: dict[str, pd.DataFrame]) -> None:
    """Draw relative failure against the factor, a colour a data set and a line style a measure.

    Parameters
    ----------
    axis : Axes
    curves : dict of str to DataFrame
        By measure: lines of dataset, factor, value and error, drawn as a band for the first measure only.
    """
    colours = dict(zip(next(iter(curves.values()))["dataset"].unique(), sns.color_palette(), strict=False))
    for place, (measure, lines) in enumerate(curves.items()):
        for dataset, part in lines.groupby("dataset", sort=False):
            axis.plot(part["factor"], part["value"], STYLES[measure], color=colours[dataset], marker="o", ms=4)
            if place == 0:
                low, high = part["value"] - part["error"], part["value"] + part["error"]
                axis.fill_between(part["factor"], low, high, color=colours[dataset], alpha=0.15, lw=0)
    axis.axhline(1, color="0.5", lw=0.8)
    for dataset, colour in colours.items():
        axis.plot([], [], "o", color=colour, label=dataset)
    for measure in curves:
        axis.plot([], [], STYLES[measure], color="black", label=FAILURE_TITLES[measure])
    axis.set(xlabel="factor of the five hardest constraints", ylabel="failure, relative to factor 1")


def hard_constraints(curves: dict[str, pd.DataFrame], own: dict[str, Tensor], plain: dict[str, Tensor]) -> Figure:
    """Draw (a) failures, and by method (b, c) the objective above the same with all weights 1.

    Parameters
    ----------
    curves : dict of str to DataFrame
        As for `draw_failures`.
    own, plain : dict of str to Tensor (n, T + 1)
        Two methods' objectives along their runs on the same images, with and without weights.
    """
    figure = plt.figure(figsize=(WIDTH * 1.4, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.25, 1, 1))
    left = figure.add_subplot(grid[:, 0])
    draw_failures(left, curves)
    left.set_title("(a) ML-C&W")
    left.legend(fontsize=9, loc="upper right")
    top = 1.5 * max(float(values.nan_to_num(0.0).max()) for values in (*own.values(), *plain.values()))
    for column, (name, paths) in enumerate(own.items()):
        thick = middle(last_rises(plain[name]))
        for row, (what, values) in enumerate((("its objective", paths), ("all weights 1", plain[name]))):
            axis = figure.add_subplot(grid[row, 1 + column])
            draw_paths(axis, values, sns.color_palette()[2 + column], thick)
            axis.set(yscale="symlog", ylim=(0, top), ylabel=what if column == 0 else "")
            axis.set(xlabel="iteration" if row else "", title="" if row else f"({'bc'[column]}) {name}")
    return figure


def last_rises(paths: Tensor) -> list[float]:
    """By how much each path (n, steps) is above its lowest value, at most after that value."""
    return (paths - paths.cummin(dim=1).values).amax(dim=1).tolist()


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
