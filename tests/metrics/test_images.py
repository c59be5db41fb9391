import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from flipbook import metrics
from flipbook.goals import LabelVector


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    originals = torch.rand(3, 3, 28, 40, generator=generator)
    noise = torch.randn(originals.shape, generator=generator) * torch.tensor([0.0, 0.02, 0.2]).view(3, 1, 1, 1)
    return (originals + noise).clamp(0, 1), originals


def test_norms_and_mse_on_hand_values():
    originals = torch.zeros(2, 1, 2, 2)
    images = torch.tensor([[0.3, 0.0, 0.0, 0.4], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64).view(2, 1, 2, 2)
    assert metrics.mse(images, originals).tolist() == pytest.approx([0.0625, 0.0])
    assert metrics.l2(images, originals).tolist() == pytest.approx([0.5, 0.0])
    assert metrics.linf(images, originals).tolist() == pytest.approx([0.4, 0.0])
    assert metrics.l0(images, originals).tolist() == [2, 0]
    assert metrics.l0(images + 5e-7, originals).tolist() == [2, 0]  # rounding is no change
    assert metrics.l1(images, originals).tolist() == pytest.approx([0.7, 0.0])
    assert metrics.psnr(images, originals).tolist() == pytest.approx([-10 * math.log10(0.0625), math.inf])


def test_ssim_equals_scikit_image(pair):
    images, originals = pair
    ours = metrics.ssim(images, originals)
    for got, image, original in zip(ours, images, originals, strict=True):
        theirs = structural_similarity(
            image.double().numpy(),
            original.double().numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert got.item() == pytest.approx(theirs, abs=1e-12)
    assert ours[0] == 1


def test_measures_do_not_depend_on_the_batch(pair):
    images, originals = pair
    for measure in (metrics.mse, metrics.psnr, metrics.ssim, metrics.l0, metrics.l1, metrics.l2, metrics.linf):
        alone = torch.cat([measure(images[i : i + 1], originals[i : i + 1]) for i in range(3)])
        assert torch.allclose(measure(images, originals), alone, rtol=1e-13, atol=0)


def test_ssim_of_the_smallest_image_and_of_one_too_small():
    image = torch.rand(1, 1, 11, 11)
    assert metrics.ssim(image, image).tolist() == [1.0]
    with pytest.raises(ValueError, match="10x12 pixels, must be at least 11x11"):
        metrics.ssim(torch.rand(1, 1, 10, 12), torch.rand(1, 1, 10, 12))


def test_basr_and_its_do_nothing_value():
    target = torch.tensor([[1, 0, 1, 0], [1, 1, 0, 0]])
    logits = torch.tensor([[2.0, -1.0, 0.5, -3.0], [-2.0, 0.0, -1.0, 4.0]])
    distance = LabelVector(target).violations(logits)
    assert distance.tolist() == [0, 3]  # a logit of exactly 0 means absent
    assert metrics.basr(distance, 4) == pytest.approx((1 + 0.25) / 2)
    assert metrics.asr(distance == 0) == 0.5
    assert metrics.do_nothing_basr(torch.full((7,), 10), 80) == pytest.approx(0.875)  # JMA Table XII


def test_means_over_successes_and_over_nothing():
    values, reached = np.array([1.0, 5.0, 9.0]), np.array([True, False, True])
    assert metrics.mean_over_successes(values, reached) == 5.0
    assert math.isnan(metrics.mean_over_successes(values, np.zeros(3, dtype=bool)))
    with pytest.raises(ValueError, match="reached: no image"):
        metrics.asr(torch.zeros(0, dtype=torch.bool))


def test_box_and_8bit():
    images = torch.tensor([0.0, 1.0, -1e-6, float("nan"), 1.0001]).view(5, 1, 1, 1)
    assert metrics.outside_box(images).tolist() == [False, False, True, True, True]
    assert metrics.to_8bit(torch.tensor([0.5, 0.001, 1.2])).tolist() == pytest.approx([128 / 255, 0.0, 1.0])


def test_shapes_are_named_in_errors():
    with pytest.raises(ValueError, match=r"images: shape \(1, 3, 4, 4\) differs"):
        metrics.mse(torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match="add a batch axis"):
        metrics.l2(torch.rand(3, 4, 4), torch.rand(3, 4, 4))
