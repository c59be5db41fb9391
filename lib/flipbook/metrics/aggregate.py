"""From rows of images to rows of a table: the means that the papers print, and the costs that they do not."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from flipbook import metrics


def summarise(
    rows: pd.DataFrame, labels: int | None = None, by: Sequence[str] = ("method", "parameters")
) -> pd.DataFrame:
    """Return one line per group of `rows`, in the order of first appearance.

    Parameters
    ----------
    rows : DataFrame
        From `evaluation.run` or `evaluation.grid`.
    labels : int, optional
        n of the label vector; without it (classes) there is no bASR.
    by : sequence of str
        Columns that make a group.

    Returns
    -------
    DataFrame
        The group's columns, then

        - over all images: images, successes, asr, asr_8bit (after rounding to 256 grey levels), asr_logits (output
          codes: by raw correlations), basr and do_nothing_basr, passes (forward plus backward, whole run), forwards,
          backwards, seconds_median, seconds;
        - over the successful images, NaN without any: mse, mse_of_psnr (10^(-mean PSNR / 10), the geometric mean of the
          MSE over images that changed), ssim, l2, linf, mean_iterations, first_success (passes until the goal was first
          reached), time_s.

    Raises
    ------
    ValueError
        When there is no row, or a column of `by` is missing.
    """
    by = list(by)
    if rows.empty:
        raise ValueError("rows: none, must hold at least one image; run an experiment first")
    if missing := [name for name in by if name not in rows]:
        raise ValueError(f"by: no column {missing[0]!r} in the rows; they have {', '.join(rows.columns)}")
    lines = []
    for group, part in rows.groupby(by, sort=False):
        lines.append(dict(zip(by, group, strict=True)) | _over_all(part, labels) | _over_successes(part))
    return pd.DataFrame(lines)


def common_successes(rows: pd.DataFrame, by: Sequence[str] = ("method", "parameters")) -> pd.DataFrame:
    """Return the rows of the images that every group of `rows` attacked with success; leave hopeless groups out first.

    Means of several attacks over their own successes compare different images; over these they
    compare the same ones.
    """
    groups = rows.groupby(list(by), sort=False).ngroups
    wins = rows[rows["reached"]].groupby("image").size()
    return rows[rows["image"].isin(wins.index[wins == groups])]


def _over_all(part: pd.DataFrame, labels: int | None) -> dict:
    line = {
        "images": len(part),
        "successes": int(part["reached"].sum()),
        "asr": metrics.asr(_values(part, "reached")),
        "asr_8bit": metrics.asr(_values(part, "reached_8bit")),
        "asr_logits": metrics.asr(_values(part, "reached_logits")),
    }
    if labels:
        line["basr"] = metrics.basr(_values(part, "distance"), labels)
        line["do_nothing_basr"] = metrics.do_nothing_basr(_values(part, "distance_before"), labels)
    costs = {name: part[name].mean() for name in ("forwards", "backwards", "seconds")}
    return line | costs | {
        "passes": (part["forwards"] + part["backwards"]).mean(),
        "seconds_median": part["seconds"].median(),
    }  # fmt: skip


def _over_successes(part: pd.DataFrame) -> dict:
    reached = _values(part, "reached")
    mean = {
        name: metrics.mean_over_successes(_values(part, name), reached)
        for name in ("mse", "ssim", "l2", "linf", "iterations", "first_success", "seconds")
    }
    changed = reached & (_values(part, "mse") > 0)
    psnr = metrics.mean_over_successes(_values(part, "psnr"), changed)
    mean["mean_iterations"], mean["time_s"] = mean.pop("iterations"), mean.pop("seconds")
    return mean | {"mse_of_psnr": 10 ** (-psnr / 10)}


def _values(part: pd.DataFrame, name: str) -> Tensor:
    return torch.tensor(part[name].to_numpy(copy=True))
