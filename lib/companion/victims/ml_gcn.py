"""A small ML-GCN: graph convolutions over label co-occurrence make the weights of the classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resnet import WIDTHS, SmallResNet

τ, P = 0.4, 0.2  # threshold of the correlations, and the part of a label's weight that its neighbours share
EMBEDDING = 64


class MLGCN(SmallResNet):
    """SmallResNet whose head is a `GCNHead`: images (N, channels, H, W) in [0, 1] -> logits (N, n)."""

    def __init__(self, shape: tuple[int, int, int], outputs: int):
        super().__init__(shape, outputs)
        self.head = GCNHead(WIDTHS[-1], outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to logits."""
        return self.head(self.maps(images)[-1].amax((2, 3)))


class GCNHead(nn.Module):
    """Pooled features (N, width) -> logits (N, n), by classifiers (n, width) that two graph convolutions make.

    W = A LeakyReLU(A E W1) W2, with the label correlations A (the buffer `adjacency`), learnt label embeddings E, and
    logits W f + b. In eval mode W is constant: it is computed once, at the switch to eval mode or when weights are
    loaded, so that neither a forward nor a backward pass of an attack meets the graph.

    Source: Chen et al., Multi-Label Image Recognition with Graph Convolutional Networks, CVPR 2019, Eqs. 2-5 and
    section 4.1 (LeakyReLU of slope 0.2, maximum pooling). Deviations: learnt embeddings of length 64 instead of word
    vectors, which pictograms lack; a bias for each label.
    """

    def __init__(self, width: int, outputs: int):
        super().__init__()
        self.embedding = nn.Parameter(0.1 * torch.randn(outputs, EMBEDDING))
        self.first, self.second = nn.Linear(EMBEDDING, width, bias=False), nn.Linear(width, width, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("adjacency", torch.eye(outputs))
        self.register_buffer("folded", torch.zeros(outputs, width), persistent=False)
        self.register_load_state_dict_post_hook(lambda head, _: head.fold())

    def forward(self, features: Tensor) -> Tensor:
        """Pooled features to logits."""
        return F.linear(features, self.classifiers() if self.training else self.folded, self.bias)

    def classifiers(self) -> Tensor:
        """Classifier of each label (n, width), from the graph."""
        hidden = F.leaky_relu(self.adjacency @ self.first(self.embedding), 0.2)
        return self.adjacency @ self.second(hidden)

    @torch.no_grad()
    def fold(self) -> None:
        """Note the classifiers that eval mode uses."""
        self.folded = self.classifiers()

    def train(self, mode: bool = True) -> "GCNHead":
        """Switch between training, where gradients reach the graph, and eval mode, where W is constant."""
        if not mode:
            self.fold()
        return super().train(mode)


def adjacency(targets: Tensor) -> Tensor:
    """Re-weighted correlations A (n, n) of labels, from the training targets (N, n) of 0 and 1.

    Label j is a neighbour of i when P(j | i), its share of the images with i, is at least τ = 0.4. The neighbours of
    i have p = 0.2 in equal parts, i itself has 1 - p, so every row sums to 1 and Chen's normalisation of A changes
    nothing. Source: Chen et al. 2019, Eqs. 6-8 and section 4.1. Deviation: a label without neighbours keeps all of its
    weight; Eq. 8 divides by zero there.
    """
    present = targets.double()
    together = present.T @ present
    alone = together.diagonal()[:, None].clamp(min=1)
    neighbours = (together / alone >= τ).double().fill_diagonal_(0)
    count = neighbours.sum(1, keepdim=True)
    shared = P * neighbours / count.clamp(min=1)
    return (shared + torch.diag(1 - shared.sum(1))).float()
