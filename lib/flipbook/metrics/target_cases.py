"""Best, average and worst case over the targets of an image, as targeted sparse attacks are compared (SAPF, 4.1)."""

import pandas as pd

from flipbook.core.validation import check_choice

CASES = ("best", "average", "worst")
NORMS = ("l0", "l1", "l2", "linf")


def target_cases(
    rows: pd.DataFrame, by: tuple[str, ...] = ("method",), select: str = "l2", failures: str = "exclude"
) -> pd.DataFrame:
    """Return three lines for each group of `rows`: the easiest target of every image, all targets, the hardest.

    Parameters
    ----------
    rows : DataFrame
        From `evaluation.grid`, one row per attack and (image, target) pair.
    by : tuple of str
        Columns that make a group.
    select : str
        "l2": one pair an image, the one of smallest (best case) or largest (worst case) L2 norm, stands for it with all
        its norms. "per-norm": every norm has its own easiest and hardest target (StrAttack's program does this).
    failures : str
        "exclude": norms are those of successes; a best case succeeds if one target does, a worst case if all do.
        "include": pairs are chosen and averaged whether they succeed or not, and the success rate is that of the chosen
        pairs. The printed table must have been made so: it has norms at a success rate of 0.

    Returns
    -------
    DataFrame
        The columns `by`, case, pairs (that the norms are means of), asr (over images; over pairs on average),
        asr_8bit (after rounding to 256 grey levels), l0, l1, l2, linf (NaN without a pair), and for the average case
        passes and seconds of a pair.

    Raises
    ------
    ValueError
        For no rows, for images with different numbers of targets in one group, and for unknown rules.
    """
    check_choice("select", select, ("l2", "per-norm"))
    check_choice("failures", failures, ("exclude", "include"))
    if rows.empty:
        raise ValueError("rows: none, must hold at least one pair; run an experiment first")
    lines = []
    for group, part in rows.groupby(list(by), sort=False):
        if part.groupby("image").size().nunique() > 1:
            raise ValueError(f"rows of {group}: images have different numbers of targets, which makes cases unequal")
        for case in CASES:
            lines.append(dict(zip(by, group, strict=True)) | {"case": case} | _line(part, case, select, failures))
    return pd.DataFrame(lines)


def _line(part: pd.DataFrame, case: str, select: str, failures: str) -> dict:
    """Success rates, norms and cost of one case."""
    if case == "average":
        counted = part if failures == "include" else part[part["reached"]]
        rates = {"asr": part["reached"].mean(), "asr_8bit": part["reached_8bit"].mean()}
        cost = {"passes": (part["forwards"] + part["backwards"]).mean(), "seconds": part["seconds"].mean()}
        return {"pairs": len(counted)} | rates | _means(counted) | cost
    images = part["image"].nunique()
    eligible = _eligible(part, case, failures)
    chosen = _extreme(eligible, "l2", case)
    rates = {name: chosen[of].sum() / images for name, of in (("asr", "reached"), ("asr_8bit", "reached_8bit"))}
    if select == "per-norm":
        norms = {norm: _extreme(eligible, norm, case)[norm].mean() for norm in NORMS}
    else:
        norms = _means(chosen)
    return {"pairs": len(chosen)} | rates | norms


def _eligible(part: pd.DataFrame, case: str, failures: str) -> pd.DataFrame:
    """Pairs among which a case chooses."""
    if failures == "include":
        return part
    if case == "best":
        return part[part["reached"]]
    return part[part.groupby("image")["reached"].transform("all")]


def _extreme(pairs: pd.DataFrame, norm: str, case: str) -> pd.DataFrame:
    """The row of every image whose norm is smallest (best case) or largest (worst case)."""
    return pairs.sort_values(norm, ascending=case == "best", kind="stable").drop_duplicates("image")


def _means(pairs: pd.DataFrame) -> dict[str, float]:
    return {norm: pairs[norm].mean() for norm in NORMS}
