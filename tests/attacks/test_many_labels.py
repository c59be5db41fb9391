"""Thousands of labels: no attack builds an array of labels times labels."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flipbook import attacks
from flipbook.goals import HideLabels, TopKEquals, TopKExcludes
from tests.affine import Affine

LABELS, N, SHAPE = 9605, 4, (3, 8, 8)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes, in bytes."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else (out,):
            if isinstance(each, torch.Tensor) and each.numel():
                storage = each.untyped_storage().nbytes()  # a view of little counts as little
                self.bytes = max(self.bytes, min(storage, each.numel() * each.element_size()))
        return out


def model_and_images():
    g = torch.Generator().manual_seed(0)
    W = torch.randn(LABELS, 192, generator=g) / 14
    return Affine(W, torch.randn(LABELS, generator=g)).float().eval(), torch.rand(N, *SHAPE, generator=g)


def goal(kind, z):
    if kind == "hide":
        return HideLabels(torch.zeros_like(z, dtype=torch.bool).scatter_(1, z.topk(2, dim=1).indices, True))
    own = torch.zeros_like(z, dtype=torch.bool).scatter_(1, z.topk(3, dim=1).indices, True)
    if kind == "excludes":
        return TopKExcludes(own, 3, hide=True)
    return TopKEquals(torch.zeros_like(own).scatter_(1, z.topk(5, dim=1).indices[:, 2:], True), 3, present=own)


@pytest.mark.parametrize("kind", ["hide", "excludes", "equals"])
@pytest.mark.parametrize("name", ["jma", "ml_deepfool", "madw", "mla_lp", "gmla", "masw", "apgd", "ml_cw"])
def test_memory_goes_with_the_rows_in_use(name, kind):
    model, x = model_and_images()
    options = {"max_iterations": 1} | ({"mode": "violated"} if name == "ml_deepfool" else {})
    with Largest() as seen:
        attacks.ALL[name](model, x, goal(kind, model(x)), **options)
    assert seen.bytes < 8e6  # labels times labels would be 369 MB an image
