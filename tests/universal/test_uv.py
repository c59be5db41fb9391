"""MASW-Uv, MADW-Uv and TkML-Uv image by image, against Algorithm 2 written plainly around plain inner attacks."""

import math

import pytest
import torch

from flipbook.goals import TopKExcludes
from flipbook.universal import madw_uv, masw_uv, tkml_uv
from flipbook.universal.top_k import _mini_batches
from tests.affine import SmallNet, mid_grey
from tests.attacks import plain_descents as plain
from tests.attacks.plain_madw import madw as plain_madw

K, STEPS, RADIUS, SEED = 2, 8, 0.15, 3
FREE = {"radius": math.inf, "steps": STEPS}


def masw_path(model, x, own, _reached):
    return plain.masw(model, x, own, K, [], λ=(0.5, 0.5), η=1.01, ε0=0.01, rate=0.02, **FREE)


def madw_path(model, x, own, _reached):
    damping = {"f_in": 1.5, "f_de": 5.0, "damping": 1.0, "margin": 0.3}
    return plain_madw(model, x, own, K, [], λ=(0.5, 0.5), η=1.015, ε0=0.01, **damping, **FREE)


def tkml_path(model, x, own, reached):
    return plain.descend(model, x, lambda z: plain.loss_tkml(z, own, K, []), reached, math.inf, 0.02, STEPS)


CASES = {
    "masw": (masw_uv, masw_path, {"learning_rate": 0.02}, True),
    "madw": (madw_uv, madw_path, {}, True),
    "tkml": (tkml_uv, tkml_path, {"learning_rate": 0.02}, False),
}


@pytest.mark.parametrize("name", CASES)
def test_one_image_at_a_time_is_the_published_loop(name):
    """Two passes: from x + z an inner attack without a ball; what succeeds is added to z, and z put into its ball."""
    universal, inner, options, hide = CASES[name]
    model, images = SmallNet(gain=6.0), mid_grey(8)
    present = torch.nn.functional.one_hot(model(images).argmax(dim=1), 6)
    z, fooled, cut = torch.zeros_like(images[0]), 0, 0
    for (i,) in _mini_batches(images, 1, 2, seed=SEED):
        goal, start = TopKExcludes(present[i : i + 1], K, hide=hide), (images[i] + z).clamp(0, 1)

        def reached(logits, goal=goal):
            return bool(goal.reached(logits[None]))

        if reached(model(start[None])[0]):
            fooled += 1
            continue
        *_, last = inner(model, start, present[i].nonzero().flatten().tolist(), reached)
        if reached(model(last[None])[0]):
            z = z + last - start
            cut += float(z.norm()) > RADIUS
            z = z * min(1.0, RADIUS / float(z.norm()))
    assert fooled > 0 < cut
    settings = {"batch_size": 1, "max_passes": 2, "eval_every": 100, "fooling_rate": 1.0, "seed": SEED}
    found = universal(
        model, images, present, K, max_iterations=STEPS, attack=options, radius=RADIUS, progress=False, **settings
    )
    torch.testing.assert_close(found.perturbation[0], z, rtol=0, atol=1e-9)
