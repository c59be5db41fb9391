"""What images look like, and what the victim says of them, under MASW's universal perturbations (Figures 7 and S.2)."""

from collections.abc import Sequence

import pandas as pd
import torch

from companion.papers.masw import universals
from flipbook.goals import TopKExcludes, top_k


def fooled_by_all(
    setup: universals.Setup, methods: Sequence[str], k: int, skip: int, count: int, **options
) -> list[int]:
    """Places of the first test images with two labels or more that every one of these perturbations fools.

    Parameters
    ----------
    setup : Setup
    methods : sequence of str
    k, skip, count : int
        `skip` such images are left to another figure. Where too few are fooled by all, those fooled by most follow.
    options
        For `universals.learn`.
    """
    images, present = universals.tested(setup.single)
    goal = TopKExcludes(present, k)
    with torch.no_grad():
        logits = [setup.single.model(universals.learn(setup, name, k, **options).apply(images)) for name in methods]
    fooled = torch.stack([goal.reached(each) for each in logits]).sum(dim=0)
    order = fooled.masked_fill(present.sum(dim=1) < 2, -1).argsort(descending=True, stable=True)
    return order[skip : skip + count].tolist()


def first_labels(setup: universals.Setup, logits: torch.Tensor, present: torch.Tensor, k: int) -> str:
    """The k labels with the largest logits (C,), a line each with their probability; true labels have a star."""
    names, order = setup.single.data.labels, top_k(logits[None], k)[0].nonzero().flatten().tolist()
    order = sorted(order, key=lambda j: -logits[j])
    return "\n".join(f"{names[j]}{' *' * bool(present[j])} {logits[j].sigmoid():.2f}" for j in order)


def confidences(setup: universals.Setup, methods: Sequence[str], k: int, **options) -> pd.DataFrame:
    """Mean probabilities on the test images under each method's perturbation.

    Returns
    -------
    DataFrame
        A row a method and test image: dataset, case, k, method, image, success (complete), true (mean probability of
        the labels in Y), first (of the first k), l2 (of z).
    """
    images, present = universals.tested(setup.single)
    parts = []
    for name in methods:
        learnt = universals.learn(setup, name, k, **options)
        with torch.no_grad():
            logits = setup.single.model(learnt.apply(images))
        p = logits.sigmoid().double()
        part = {"true": (p * present).sum(1) / present.sum(1), "first": p.topk(k, dim=1).values.mean(dim=1)}
        part |= {"success": TopKExcludes(present, k).reached(logits)}
        table = pd.DataFrame({column: values.cpu().numpy() for column, values in part.items()})
        known = {"dataset": setup.setting.dataset, "case": "", "k": k, "method": name, "image": setup.single.indices}
        parts.append(table.assign(**known, l2=float(learnt.perturbation.norm())))
    return pd.concat(parts, ignore_index=True)
