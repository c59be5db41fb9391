"""The ML-Decoder and ML-GCN heads: group decoding, folding, the label graph, and the derivatives that attacks take."""

import pytest
import torch

from companion.victims.ml_decoder import DecoderHead, MLDecoder
from companion.victims.ml_gcn import MLGCN, GCNHead, adjacency
from flipbook.core.gradients import differentiable_twice, directional, row_gradients
from flipbook.core.pass_counter import PassCounter

SCENE = (3, 64, 64)


def ready(net):
    """Return the network in eval mode, frozen, in double precision."""
    return net.eval().requires_grad_(False).double()


@pytest.fixture(params=[MLDecoder, MLGCN])
def net(request):
    torch.manual_seed(0)
    return ready(request.param(SCENE, 9))


def test_images_do_not_meet_in_a_batch(net):
    images = torch.rand(4, *SCENE, dtype=torch.float64)
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(net(images), alone, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(net(images.flip(0)).flip(0), alone, atol=1e-10, rtol=1e-10)


def test_gradient_is_the_slope(net):
    images = torch.rand(2, *SCENE, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(images)
    (gradient,) = torch.autograd.grad(net(images)[:, 4].sum(), images)
    with torch.no_grad():
        up, down = (net(images + sign * 1e-8 * direction)[:, 4].sum() for sign in (1, -1))
    torch.testing.assert_close((gradient * direction).sum(), (up - down) / 2e-8, atol=1e-5, rtol=1e-4)


def test_products_with_the_jacobian_agree_in_every_way_of_taking_them(net):
    images = torch.rand(2, *SCENE, dtype=torch.float64, requires_grad=True)
    counted = PassCounter(net, images)
    with differentiable_twice():
        logits = counted(images)
        rows = torch.randn(2, 3, 9, dtype=torch.float64)
        loop = row_gradients(counted, logits, images, rows, batched=False)
        at_once = row_gradients(counted, logits, images, rows, batched=True)
        torch.testing.assert_close(at_once, loop)
        δ = torch.randn_like(images)
        change = directional(counted, logits, images, δ)
    expected = (loop * δ.detach()[:, None]).sum((2, 3, 4))
    torch.testing.assert_close(torch.einsum("nkc,nc->nk", rows, change), expected)


@pytest.mark.parametrize(("outputs", "groups", "queries", "share"), [(9, 9, 9, 1), (9, 4, 3, 3), (10, 4, 4, 3)])
def test_group_decoding(outputs, groups, queries, share):
    torch.manual_seed(1)
    head, maps = ready(DecoderHead(8, outputs, groups)), torch.randn(2, 8, 3, 2, dtype=torch.float64)
    assert head.queries.shape == (queries, 8)
    before = head(maps)
    assert before.shape == (2, outputs)
    # The second group moves. Not by a constant, which is lost on normalised features.
    head.weights.data[1] += torch.randn_like(head.weights[1])
    moved = (~torch.isclose(head(maps), before)).any(0).nonzero().flatten().tolist()
    assert moved == list(range(share, min(2 * share, outputs)))


def test_published_number_of_groups_decodes_268_labels():
    head = DecoderHead(8, 268)
    assert head.queries.shape[0] == 90  # three labels a query
    assert head(torch.randn(1, 8, 4, 4)).shape == (1, 268)


def test_attention_by_hand():
    torch.manual_seed(2)
    head, places = ready(DecoderHead(8, 3)), torch.randn(1, 5, 8, dtype=torch.float64)
    keys, values = head.keys(places)[0], head.values(places)[0]
    parts = []
    for h in range(4):
        channels = slice(2 * h, 2 * h + 2)
        scores = head.queries[:, channels] @ keys[:, channels].T / 2**0.5
        parts.append(scores.softmax(1) @ values[:, channels])
    torch.testing.assert_close(head._look(places)[0], torch.cat(parts, 1))


def test_a_decoder_does_not_care_where_things_are():
    torch.manual_seed(3)
    head, maps = ready(DecoderHead(8, 5)), torch.randn(2, 8, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(head(maps.flip(2, 3)), head(maps))


def test_adjacency_by_hand():
    targets = torch.tensor(
        [
            [1, 1, 0, 0],  # label 1 lies above 0: it is there whenever 0 is
            [1, 1, 0, 0],
            [0, 1, 1, 0],
            [0, 1, 1, 0],
            [0, 1, 1, 0],
            [0, 0, 1, 0],
        ]
    )  # P(1|0) = 1, P(0|1) = 2/5: exactly the threshold, P(2|1) = 3/5, P(1|2) = 3/4, label 3 is never there
    expected = [[0.8, 0.2, 0, 0], [0.1, 0.8, 0.1, 0], [0, 0.2, 0.8, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(adjacency(targets), torch.tensor(expected))
    torch.testing.assert_close(adjacency(targets.to(torch.uint8)), torch.tensor(expected))


def test_just_below_the_threshold_is_no_neighbour():
    targets = torch.zeros(1000, 2)
    targets[:, 0] = 1
    targets[:399, 1] = 1
    torch.testing.assert_close(adjacency(targets), torch.tensor([[1.0, 0.0], [0.2, 0.8]]))


def graph_head():
    torch.manual_seed(4)
    head = GCNHead(8, 4)
    head.adjacency.copy_(torch.rand(4, 4))
    torch.nn.init.normal_(head.bias)
    return head


def test_classifiers_by_hand():
    head = graph_head()
    A, E, W1, W2 = head.adjacency, head.embedding, head.first.weight.T, head.second.weight.T
    hidden = A @ E @ W1
    hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    features = torch.randn(3, 8)
    expected = features @ (A @ hidden @ W2).T + head.bias
    torch.testing.assert_close(head.eval()(features), expected)


def test_folded_equals_unfolded_and_costs_no_graph():
    head, features = graph_head().train(), torch.randn(3, 8)
    unfolded = head(features)
    head.eval()
    assert torch.equal(head(features), unfolded)
    assert not head(features).detach().requires_grad
    assert not head.folded.requires_grad
    head.embedding.data += 1  # eval mode does not look at the graph any more
    assert torch.equal(head(features), unfolded)
    assert not torch.equal(head.eval()(features), unfolded)


def test_gradients_reach_the_graph_in_training():
    head = graph_head().train()
    head(torch.randn(3, 8)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())


def test_loading_weights_folds_them():
    trained, fresh, features = graph_head().eval(), GCNHead(8, 4).eval(), torch.randn(3, 8)
    assert "folded" not in trained.state_dict()
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh(features), trained(features))
