"""The papers' own victims: torchvision's architectures at full size, with the reader's weights.

torchvision takes seconds to import, so it is imported where a network is built.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from torch import Tensor, nn

from companion import paths

from . import table
from .blocks import Normalise
from .codes import hadamard

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


# Where training programs put a state, averaged ones first, and what wrappers put before its names.
AVERAGED = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "module_ema")
WRAPPINGS = (*AVERAGED, "state_dict", "model_state_dict", "model", "module", "net", "weights")
PREFIXES = ("module.", "model.", "net.", "_orig_mod.", "backbone.")


class Vgg16Ensemble(nn.Module):
    """ECOC ensemble of VGG16: blocks 1 and 2 shared, then blocks 3 to 5 and three dense layers for each bit.

    Images (N, 3, H, W) -> n logits, one per bit. Source: JMA, section VI-A, counted as in the released code.
    """

    def __init__(self, outputs: int, dense: int = 4096):
        super().__init__()
        self.bottom = self._convolutions()[:10]
        self.branches = nn.ModuleList(self._branch(dense) for _ in range(outputs))

    @staticmethod
    def _convolutions() -> nn.Sequential:
        from torchvision.models import vgg

        return vgg.make_layers(vgg.cfgs["D"], batch_norm=False)

    def _branch(self, dense: int) -> nn.Sequential:
        layers = (nn.LazyLinear(dense), nn.ReLU(), nn.Linear(dense, dense), nn.ReLU(), nn.Linear(dense, 1))
        return nn.Sequential(*self._convolutions()[10:], nn.Flatten(), *layers)

    def forward(self, images: Tensor) -> Tensor:
        """Images to one logit per bit, (N, n)."""
        shared = self.bottom(images)
        return torch.cat([branch(shared) for branch in self.branches], 1)


def _inception(outputs: int) -> nn.Module:
    from torchvision.models import inception_v3

    return inception_v3(weights=None, aux_logits=False, num_classes=outputs, init_weights=True)


def _torchvision(name: str) -> Callable[[int], nn.Module]:
    def make(outputs: int) -> nn.Module:
        from torchvision.models import get_model

        return get_model(name, weights=None, num_classes=outputs)

    return make


ARCHITECTURES = {
    "inception-v3": _inception,
    "resnet-50": _torchvision("resnet50"),
    "vit-b-16": _torchvision("vit_b_16"),
    "swin-b": _torchvision("swin_b"),
    "vgg16": _torchvision("vgg16"),
    "vgg16-ecoc": Vgg16Ensemble,
}

# What the paper profile's notebooks ask for: data set and architecture by the victim's name; see `register`.
EXPECTED = {
    "voc2012-inception-v3": ("voc2012", "inception-v3"),
    "voc2012-resnet-50": ("voc2012-224", "resnet-50"),
    "voc2012-vit-b-16": ("voc2012-224", "vit-b-16"),
    "coco2014-swin-b": ("coco2014", "swin-b"),
}


def build(architecture: str, outputs: int) -> nn.Module:
    """Return an untrained network of the papers: images (N, 3, H, W) in [0, 1] -> logits (N, outputs), eval mode.

    architecture: one of ARCHITECTURES; ImageNet's normalisation is inside.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is {architecture!r}, it must be one of {', '.join(ARCHITECTURES)}")
    if not (isinstance(outputs, int) and outputs > 0):
        raise ValueError(f"outputs of {architecture} is {outputs!r}, it must be a positive whole number of logits")
    return nn.Sequential(Normalise(**IMAGENET), ARCHITECTURES[architecture](outputs)).eval()


def folder() -> Path:
    """Where the reader's own victims are: $DATA_ROOT/victims, with a victims.csv of the same columns as ours."""
    return paths.data_root() / "victims"


def listed() -> dict[str, table.Victim]:
    """Victims that the reader listed, by name."""
    return table.read(folder())


def codebook(victim: table.Victim) -> Tensor | None:
    """Codewords of a listed victim whose codebook is "hadamard <order> <classes>", None for an empty one."""
    if not victim.codebook:
        return None
    kind, *numbers = victim.codebook.split()
    if kind != "hadamard" or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"codebook of {victim.name!r} is {victim.codebook!r}, it must be like 'hadamard 16 10' or empty"
        )
    return hadamard(*map(int, numbers))


def load(victim: table.Victim) -> nn.Module:
    """Return a listed victim: its architecture with the state in its .safetensors or weights-only .pt file."""
    content = table.checked(victim, folder(), f"put it there, or correct {table.TABLE} beside it")
    return fitted(victim.architecture, victim.outputs, victim.file, content)


def fitted(architecture: str, outputs: int, file: str, content: bytes) -> nn.Module:
    """Return `build`'s network with the state that a .safetensors or weights-only .pt file of this content holds.

    Raises ValueError in one line for files of another kind and for states that do not fit.
    """
    net = build(architecture, outputs)
    try:
        if file.endswith(".safetensors"):
            state = parse(content)
        else:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{file} holds no tensors that can be read safely ({str(error).splitlines()[0]})") from None
    wanted = net[1].state_dict()
    # Inception-v3 is trained with a second head, which is no part of the victim.
    found = {key: value for key, value in state_in(state, wanted).items() if not key.startswith("AuxLogits.")}
    if wrong := _misfit(found, wanted):
        raise ValueError(f"{file} does not fit {architecture} with {outputs} outputs: {wrong}")
    net[1].load_state_dict(found)
    return net


def state_in(content, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state that a file holds, out of a training checkpoint and without what wrappers put before its names.

    Parameters
    ----------
    content
        What the file held: a state, or a dictionary with the state under one of WRAPPINGS, however deep. Of several the
        one that shares most names with `wanted` is taken; of equals the first in WRAPPINGS, where averaged weights,
        which are those that training programs report, come first.
    wanted : dict of str to Tensor
        State of the network that it is for.
    """
    states = [_unprefixed(state, wanted) for state in _states(content)]
    return max(states, key=lambda state: len(state.keys() & wanted.keys()), default={})  # the first of equals


def _states(content) -> Iterator[dict[str, Tensor]]:
    if not isinstance(content, Mapping):
        return
    for name in WRAPPINGS:
        if name in content:
            yield from _states(content[name])
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield tensors


def _unprefixed(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the prefixes of wrappers off as long as all names that have any of them gain by it."""
    while not state.keys() & wanted.keys():
        prefix = next((prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def _misfit(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> str:
    """Say in one line what of a state is missing, too much or of another shape; '' when it fits."""
    shapes = [
        f"{key} {tuple(found[key].shape)}, must be {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in found and found[key].shape != value.shape
    ]
    parts = {
        "missing": [key for key in wanted if key not in found],
        "unknown": [key for key in found if key not in wanted],
        "of another shape": shapes,
    }
    said = [
        f"{len(names)} tensors {what} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
        for what, names in parts.items()
        if names
    ]
    return "; ".join(said)
