"""Shapes, eval mode, folding and the derivatives that attacks take."""

import pytest
import torch

from companion.victims.blocks import fold
from companion.victims.cnn import SmallCNN
from companion.victims.ecoc import EcocEnsemble
from companion.victims.frozen import FrozenBackboneMLP, feature_count, features
from companion.victims.ml_decoder import MLDecoder
from companion.victims.ml_gcn import MLGCN
from companion.victims.resnet import SmallResNet
from companion.victims.vit import SmallViT

SCENE = (3, 64, 64)
NETWORKS = {
    "resnet": (lambda: SmallResNet(SCENE, 20), SCENE, 20),
    "vit": (lambda: SmallViT(SCENE, 20), SCENE, 20),
    "cnn": (lambda: SmallCNN((3, 48, 48), 238), (3, 48, 48), 238),
    "ecoc": (lambda: EcocEnsemble((1, 28, 28), 16), (1, 28, 28), 16),
    "ecoc-32": (lambda: EcocEnsemble((3, 32, 32), 32), (3, 32, 32), 32),
    "ml-decoder": (lambda: MLDecoder(SCENE, 28), SCENE, 28),
    "ml-decoder-268": (lambda: MLDecoder(SCENE, 268), SCENE, 268),
    "ml-gcn": (lambda: MLGCN(SCENE, 81), SCENE, 81),
    "frozen-mlp": (lambda: FrozenBackboneMLP(SmallResNet(SCENE, 268), 80), SCENE, 80),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    """Return a network with random weights and running statistics, in eval mode, and a few images for it."""
    make, shape, outputs = NETWORKS[request.param]
    torch.manual_seed(0)
    net, images = make(), torch.rand(3, *shape)
    for parameter in net.parameters():  # also layers that start at zero must matter
        parameter.data += 0.05 * torch.randn_like(parameter)
    with torch.no_grad():
        net.train()(torch.rand(8, *shape))
    return net.eval().requires_grad_(False), images, outputs


def test_shape_is_one_logit_per_output(case):
    net, images, outputs = case
    assert net(images).shape == (3, outputs)


def test_folding_batch_norm_changes_nothing(case):
    net, images, _ = case
    before = net(images)
    after = fold(net)(images)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(after, before, atol=2e-4, rtol=2e-4)


def test_batched_cotangents_and_forward_mode_agree_with_backward_passes(case):
    net, images, outputs = case
    images = images.clone().requires_grad_()
    logits = net(images)
    rows = torch.eye(outputs)[:2]
    loop = torch.stack([torch.autograd.grad(logits @ row, images, torch.ones(3), retain_graph=True)[0] for row in rows])
    cotangents = rows[:, None].expand(2, 3, outputs)
    batched = torch.autograd.grad(logits, images, cotangents, is_grads_batched=True)[0]
    torch.testing.assert_close(batched, loop, atol=1e-5, rtol=1e-4)
    direction = torch.randn_like(images)
    with torch.no_grad():
        _, change = torch.func.jvp(net, (images.detach(),), (direction,))
    torch.testing.assert_close(change[:, :2].T, (loop * direction).sum((2, 3, 4)), atol=1e-4, rtol=1e-3)


def test_ecoc_bit_depends_on_its_own_branch_only():
    torch.manual_seed(0)
    net, images = EcocEnsemble((1, 28, 28), 16).eval(), torch.rand(2, 1, 28, 28)
    before = net(images)
    width = net.bits.in_channels // 16
    net.branches[1][0].weight.data[3 * width : 4 * width] += 1
    changed = (net(images) != before).any(0)
    assert changed.nonzero().flatten().tolist() == [3]


def test_head_sees_the_embedding_and_backbone_is_frozen():
    backbone = SmallResNet(SCENE, 268)
    net, images = FrozenBackboneMLP(backbone, 80), torch.rand(2, *SCENE)
    assert features(backbone, images).shape == (2, feature_count(backbone))
    assert not any(parameter.requires_grad for parameter in net.backbone.parameters())
    torch.testing.assert_close(net(images), net.head(features(backbone, images)))


def test_vit_refuses_grey_images():
    with pytest.raises(ValueError, match="1 channels, torchvision's ViT takes 3"):
        SmallViT((1, 64, 64), 10)
