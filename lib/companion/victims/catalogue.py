"""Every small victim: what it is, what it stands in for, and how it is trained."""

import difflib
from dataclasses import dataclass

BACKBONE = "pictograms268-resnet"


@dataclass(frozen=True)
class Recipe:
    """How one victim is built and trained.

    shape is (channels, H, W) of its images, outputs the number n of logits, code the order of its Hadamard code
    (None: no code). rate is the peak learning rate of the one-cycle schedule, images how many training images are used,
    augment whether they are shifted and recoloured on the way. abstract is the number of abstract nodes that the
    victim knows beside the labels of its data set. pretrained: whether training starts from the backbone's trunk, all
    of which is trained on, and ends by moving the threshold to where labels are told apart best.
    """

    name: str
    stands_for: str
    architecture: str
    loss: str
    shape: tuple[int, int, int]
    classes: int
    epochs: int
    rate: float = 3e-3
    images: int = 16_000
    code: int | None = None
    augment: bool = False
    abstract: int = 0
    pretrained: bool = False

    @property
    def dataset(self) -> str:
        """Name of its data set: its own without the last part."""
        return self.name.rpartition("-")[0]

    @property
    def outputs(self) -> int:
        """Number n of logits."""
        return self.code or self.classes + self.abstract

    @property
    def metric(self) -> str:
        """What its quality is measured in."""
        return "mAP" if self.loss in ("bce", "asymmetric") else "accuracy"


CROWD, SCENE, SMALL_SCENE, SIGN = (3, 96, 96), (3, 64, 64), (3, 48, 48), (3, 32, 32)
DIGIT, PADDED_DIGIT = (1, 28, 28), (1, 32, 32)
MLP, ENSEMBLE, CARLINI = "CLIP + MLP", "ECOC ensemble of VGG16", "SAPF's CIFAR-10 network (the same architecture)"
HEADS = {  # of GMLA and CMLU: stands for, architecture, loss
    "asl": ("TResNet-L with the asymmetric loss", "resnet", "asymmetric"),
    "decoder": ("ML-Decoder on TResNet-L", "ml-decoder", "asymmetric"),
    "gcn": ("ML-GCN on ResNet-101", "ml-gcn", "bce"),
}


def _headed(dataset: str, classes: int, head: str, epochs: int, abstract: int = 0, shape=SCENE) -> Recipe:
    """The backbone's trunk with one of the `HEADS`."""
    about = HEADS[head]
    return Recipe(
        f"{dataset}-{head}", *about, shape, classes, epochs, 1e-3, augment=True, abstract=abstract, pretrained=True
    )


# The backbone comes before the heads that need it.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(BACKBONE, "the backbone of CLIP", "resnet", "bce", SCENE, 268, 24, rate=4e-3, augment=True),
        Recipe("pictograms20-resnet", "Inception-v3 and ResNet-50", "resnet", "bce", SCENE, 20, 10),
        Recipe("pictograms20-vit", "ViT-B/16", "vit", "bce", SCENE, 20, 12, rate=2e-3),
        Recipe("pictograms20-mlp", MLP, "frozen-mlp", "bce", SCENE, 20, 20),
        Recipe("pictograms80-resnet", "Swin-B", "resnet", "asymmetric", SCENE, 80, 16),
        Recipe("pictograms80-mlp", MLP, "frozen-mlp", "asymmetric", SCENE, 80, 30),
        Recipe("pictograms81-mlp", MLP, "frozen-mlp", "asymmetric", SCENE, 81, 30),
        *(_headed("pictograms20", 20, head, 4, abstract=8) for head in HEADS),
        *(_headed("pictograms81", 81, head, 6) for head in HEADS),
        *(_headed("pictograms268", 268, head, epochs) for head, epochs in (("asl", 14), ("decoder", 6), ("gcn", 14))),
        _headed("crowds268", 268, "asl", 20, shape=CROWD),
        Recipe(
            "pictograms238-onehot", "many-class ViT-B/16", "cnn", "cross-entropy", SMALL_SCENE, 238, 20, augment=True
        ),
        # 0.001 as the rate: the network has no batch norm, which is what bears three times as much elsewhere. With all
        # pictograms it would hardly err; with 3,000 it is as unsure as one is on photographs.
        Recipe("pictograms10-onehot", CARLINI, "carlini", "cross-entropy", SIGN, 10, 30, rate=1e-3, images=3_000),
        Recipe("cifar10-onehot", CARLINI, "carlini", "cross-entropy", SIGN, 10, 24, rate=1e-3, images=50_000),
        Recipe("cifar10-jpeg-onehot", CARLINI, "carlini", "cross-entropy", SIGN, 10, 24, rate=1e-3, images=50_000),
        Recipe("signs43-onehot", "VGG16", "cnn", "cross-entropy", SIGN, 43, 10),
        Recipe("signs32-ecoc", ENSEMBLE, "ecoc", "hinge", SIGN, 32, 10, code=32),
        Recipe("pictograms10-ecoc", ENSEMBLE, "ecoc", "hinge", SIGN, 10, 10, code=16),
        Recipe("digits-ecoc", ENSEMBLE, "ecoc", "hinge", DIGIT, 10, 60, code=16),
        Recipe("mnist-ecoc", ENSEMBLE, "ecoc", "hinge", PADDED_DIGIT, 10, 6, images=60_000, code=16),
    )
}


def names() -> list[str]:
    """Names of all small victims."""
    return list(RECIPES)


def recipe(name: str) -> Recipe:
    """Return the recipe of a victim; an unknown name is refused with the nearest right one."""
    if name not in RECIPES:
        raise KeyError(unknown(name, names()))
    return RECIPES[name]


def unknown(name: str, known: list[str]) -> str:
    """One line for a name that no victim has."""
    near = difflib.get_close_matches(str(name), known, 1, 0)
    return f"no victim is called {name!r}: did you mean {near[0]!r}? There are {', '.join(known)}"
