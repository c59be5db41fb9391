"""Figure 5 of the CMLU paper: what lies between two vectors, as regions of a plane, and the claims about it."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from companion.papers.cmlu.claims import CLOSE, IMAGES, MARGIN, SETS, above, enough, not_below
from companion.papers.cmlu.experiments import Setup, learn
from companion.report.claims import Claims
from flipbook.metrics import ssim
from flipbook.universal import projections
from flipbook.universal.plane import Plane, plane
from flipbook.universal.pool import named


def switched_off(setup: Setup, methods: Sequence[str], omegas: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How often each label of a pair goes off under either vector alone and under their sum, on images with both.

    Returns
    -------
    DataFrame
        One row a method, pair and perturbation ("first", "second", "sum"): labels, images, and in percent
        "off 1", "off 2" and "both": the images on which the pair's first, second and both labels are off.
    """
    lines = []
    for method in methods:
        basis = learn(setup, method)
        for omega in omegas:
            index = setup.test.containing(omega)
            for name, part in zip(("first", "second", "sum"), ((omega[0],), (omega[1],), omega), strict=True):
                on = attacked_logits(setup, basis, part, index)[:, list(omega)] > 0
                off = 100 * (~on).double().mean(dim=0)
                line = {
                    "method": method,
                    "omega": omega,
                    "labels": named(omega, setup.test.names),
                    "perturbation": name,
                }
                both = 100 * (~on).all(dim=1).double().mean().item()
                lines.append(
                    line | {"images": len(index), "off 1": off[0].item(), "off 2": off[1].item(), "both": both}
                )
    return pd.DataFrame(lines)


def attacked(setup: Setup, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Test images of these indices under the perturbation of a target set."""
    return projections.apply(setup.test.take(index), learnt.compose(omega).to(setup.test.device))


def attacked_logits(setup: Setup, learnt, omega: tuple[int, ...], index: Tensor) -> Tensor:
    """Return the victim's logits (n, C) of what `attacked` returns."""
    with torch.no_grad():
        return setup.test.net(attacked(setup, learnt, omega, index))


def similarity(setup: Setup, learnt, images: int = 32) -> list[float]:
    """Mean SSIM of test images with every label's vector, on at most so many images that contain the label."""
    values = []
    for label in setup.labels:
        index = setup.test.containing((label,))[:images]
        values.append(ssim(attacked(setup, learnt, (label,), index), setup.test.take(index)).mean().item())
    return values


def coordinates(learnt, vector: Tensor, pair: tuple[int, int]) -> tuple[float, float, float]:
    """Where a vector's projection lies in the plane of a pair's vectors of largest value 1, and the part in the plane.

    Returns
    -------
    (float, float, float)
        e_x, e_y, and the share of the vector's squared length that lies in the plane.
    """
    axes = learnt.vectors[learnt.columns(pair)].flatten(1).double()
    axes = axes / axes.abs().amax(dim=1, keepdim=True)
    flat = vector.flatten().double()
    e = torch.linalg.lstsq(axes.T, flat).solution
    return e[0].item(), e[1].item(), ((e @ axes).square().sum() / flat.square().sum()).item()


def outside(setup: Setup, omegas: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """How much of the Oracle's own vector for a pair lies outside the plane of its vectors for the two labels.

    Returns
    -------
    DataFrame
        One row a pair: omega, images (that contain it) and share (of the vector's squared length, in percent).
    """
    basis, own = learn(setup, "Or-S"), learn(setup, "Oracle", 2)
    lines = []
    for omega in omegas:
        *_, inside = coordinates(basis, own.compose(omega), omega)
        lines.append({"omega": omega, "images": len(setup.test.containing(omega)), "share": 100 * (1 - inside)})
    return pd.DataFrame(lines)


def planes(setup: Setup, method: str, pairs: Sequence[tuple[int, int]], points: int, images: int) -> list[Plane]:
    """Walk over the plane of each pair's vectors, from -0.4 ε to 2 ε, on at most so many test images a pair."""
    basis, ε = learn(setup, method), setup.setting.epsilon
    return [
        plane(basis, setup.test, [pair], low=-0.4 * ε, high=2 * ε, points=points, images=images, progress=False)
        for pair in pairs
    ]


def average(planes: Sequence[Plane]) -> Plane:
    """Return the mean of planes on the same grid, as `universal.plane` of all their pairs has it."""
    means = {
        name: torch.stack([getattr(each, name) for each in planes]).mean(dim=0)
        for name in ("confidence", "both", "norm", "ball")
    }
    return replace(planes[0], **means, images=sum(each.images for each in planes))


def in_the_ball(planes: dict[tuple[int, int], Plane]) -> pd.DataFrame:
    """What each pair's plane has to offer within the ball.

    Returns
    -------
    DataFrame
        One row a pair: omega, images, and in percent "best" (the images on which both labels are off at the best grid
        point within the ball), "share" (the grid points within the ball at which they are off on most images) and
        "anywhere" (as best, without the ball).
    """
    lines = []
    for omega, found in planes.items():
        inside = found.both[found.inside]
        line = {"omega": omega, "images": found.images, "best": 100 * inside.max().item()}
        share = 100 * (inside > 0.5).double().mean().item()
        lines.append(line | {"share": share, "anywhere": 100 * found.both.max().item()})
    return pd.DataFrame(lines)


def gains(rows: pd.DataFrame, method: str) -> pd.Series:
    """By pair: on how many points more images the sum hides both labels than the better of the two vectors alone.

    Parameters
    ----------
    rows : DataFrame
        Of `switched_off`.
    """
    of = rows[rows["method"] == method]
    both = of.pivot(index="omega", columns="perturbation", values="both")
    return both["sum"] - both[["first", "second"]].max(axis=1)


def telling(setup: Setup, method: str, omega: tuple[int, int], count: int) -> Tensor:
    """Test images of a pair, those first that show most: the sum hides both labels, few of its vectors do alone.

    Returns
    -------
    Tensor (count,)
        Indices; images that show the same stay in their order.
    """
    basis, index = learn(setup, method), setup.test.containing(omega)
    first, second, both = (
        ~(attacked_logits(setup, basis, part, index)[:, list(omega)] > 0).any(dim=1)
        for part in ((omega[0],), (omega[1],), omega)
    )
    score = 3 * both.int() - first.int() - second.int()
    return index[score.argsort(descending=True, stable=True)[:count]]


def unrelated(claims: Claims, cosines: Tensor, text: str, place: str, most: float = 0.1) -> None:
    """The mean |cosine| is about 0."""
    sizes = cosines.abs()
    mean, largest = sizes.mean().item(), sizes.max().item()
    figures = f"mean |cosine| {mean:.3f}, largest {largest:.3f}"
    if abs(mean - most) < 0.1 * most:
        claims.check(text, place, figures, None, CLOSE)
    else:
        claims.check(text, place, figures, mean < most)


def hides(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """The sum of a pair's vectors of CMLU_beta hides both labels on most images. `rows` as for `both_off`."""
    both = _under(rows, "sum", "both")
    text = "the sum of CMLU-β's vectors hides both labels on more than half of the images"
    above(claims, text, place, f"{both.mean():.0f} % over {len(both)} pairs", both - 50, _carry(rows), MARGIN)


def one_label_each(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """A vector of CMLU_beta hides its own label and leaves the other one on. `rows` as for `both_off`."""
    own = pd.concat([_under(rows, "first", "off 1"), _under(rows, "second", "off 2")])
    text = "a CMLU-β vector hides its own label on more than 90 % of the images"
    above(claims, text, place, f"{own.mean():.0f} %", own - 90, _carry(rows), MARGIN)
    other = pd.concat([_under(rows, "first", "off 2"), _under(rows, "second", "off 1")])
    text = "a CMLU-β vector leaves the other label on, on more than 75 % of the images"
    above(claims, text, place, f"the other goes off on {other.mean():.0f} %", 25 - other, _carry(rows), MARGIN)


def _under(rows: pd.DataFrame, perturbation: str, what: str) -> pd.Series:
    """A column of `switched_off`, pair by pair, under one perturbation of CMLU_beta."""
    return rows[(rows["method"] == "CMLU_beta") & (rows["perturbation"] == perturbation)].set_index("omega")[what]


def _carry(rows: pd.DataFrame) -> bool:
    """Whether the pairs of `switched_off` can carry a verdict."""
    return enough(rows.drop_duplicates("omega"))


def own_direction(claims: Claims, outside: pd.DataFrame, place: str) -> None:
    """The Oracle's vector for two labels is no mixture of its vectors for each. `outside` is of `plane.outside`."""
    text = "the Oracle's own vector for two labels lies for more than half outside the plane of its vectors for each"
    figures = f"{outside['share'].mean():.0f} % of its squared length over {len(outside)} pairs"
    above(claims, text, place, figures, outside["share"] - 50, enough(outside), MARGIN)


def orthogonality_helps(claims: Claims, with_term: float, without: float, place: str, least: float = 0.01) -> None:
    """The term that pulls vectors towards orthogonality lowers their mean |cosine|."""
    text = "the orthogonality term lowers the mean |cosine| among CMLU-β's vectors"
    figures = f"{with_term:.3f} with it, {without:.3f} without"
    if abs(without - with_term) < least:
        claims.check(text, place, figures, None, f"they differ by less than {least:g}")
    else:
        claims.check(text, place, figures, with_term < without)


def both_off(claims: Claims, rows: pd.DataFrame, place: str) -> None:
    """Where the sum of a pair's vectors meets the ball, CMLU_beta hides both labels more often than Oracle vectors.

    Parameters
    ----------
    rows : DataFrame
        Of `plane.switched_off` for "Or-S" and "CMLU_beta".
    """
    text = "at the sum of two vectors both labels go off far more often for CMLU-β than for Oracle vectors"
    sums = rows[rows["perturbation"] == "sum"]
    mine, theirs = (sums[sums["method"] == method].set_index("omega") for method in ("CMLU_beta", "Or-S"))
    figures = f"{mine['both'].mean():.0f} against {theirs['both'].mean():.0f} % of images"
    above(claims, text, place, figures, mine["both"] - theirs["both"], enough(mine), 5 * MARGIN)


def region(claims: Claims, points: pd.DataFrame, place: str) -> None:
    """Within the ball the plane of CMLU_beta's vectors has a region with both labels off, that of Oracle vectors none.

    Parameters
    ----------
    points : DataFrame
        Of `plane.in_the_ball` for both kinds of vectors, with the column method: "Or-S" or "CMLU_beta".
    """
    mine, theirs = (points[points["method"] == method].set_index("omega") for method in ("CMLU_beta", "Or-S"))
    best, text = mine["best"] - theirs["best"], "the best point in the ball hides both labels on more images for CMLU-β"
    figures = f"{mine['best'].mean():.0f} against {theirs['best'].mean():.0f} % of images"
    above(claims, text, place, figures, best, enough(mine), MARGIN)
    _wide(claims, mine["share"], theirs["share"], enough(mine), place)


def _wide(claims: Claims, mine: pd.Series, theirs: pd.Series, carries: bool, place: str) -> None:
    text = "CMLU-β has a region in the ball where both labels are off on most images, Oracle vectors none or half of it"
    figures = f"{mine.mean():.1f} against {theirs.mean():.1f} % of the points in the ball"
    if carries and not mine.any():
        claims.check(text, place, figures, False)
    else:
        above(claims, text, place, figures, mine - 2 * theirs, carries)


def adds(claims: Claims, gains: pd.Series, images: int, place: str) -> None:
    """The sum of two vectors hides both labels on at least as many images as either of them alone.

    Parameters
    ----------
    gains : Series
        Of `plane.gains`, in points.
    images : int
        Behind them.
    """
    text = "the sum hides both labels on at least as many images as either of its vectors alone"
    figures = f"{gains.mean():+.1f} points over {len(gains)} pairs, the best {gains.max():+.1f}"
    not_below(claims, text, place, figures, gains, len(gains) >= SETS and images >= IMAGES)
