"""What all attacks do alike: half precision and grey levels, around a plain function."""

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from flipbook.attacks.engines.norm_balls import ball_radius, default_radius
from flipbook.core.attack_result import AttackResult
from flipbook.core.batch import batch_view, l2_norm
from flipbook.core.modules import graphs_kept
from flipbook.core.validation import check_counts, check_images
from flipbook.goals import Goal
from flipbook.metrics import to_levels

HALF = (torch.float16, torch.bfloat16)
NEAR = 1e-3  # of a grey level: what counts as on it
AWAY = (1.0, 0.9, 0.8, 0.7, 0.6)  # rounding away from the clean image only from this part of a level on


def attack(function: Callable[..., AttackResult] | None = None, *, l2: tuple[str, ...] = ("radius",)) -> Callable:
    """Make an attack of a function of model, images, goal and options that works in float32 or float64.

    Parameters
    ----------
    function : callable
        `function(model, images, goal, *, options) -> AttackResult`.
    l2 : tuple of str
        Which of its options are radii of L2 balls. Others called bound or epsilon are largest changes of an entry,
        unless an option `norm` says otherwise.

    Returns
    -------
    callable
        The attack, with an option more,

            levels : int, optional
                Grey levels that images are to have, 256 for 8-bit files. The model is only ever shown images on these
                levels, with the gradient passed straight through the rounding, so that what it says holds for the
                file. `images` must lie on them, and what is returned does.

        It takes images in half precision, too: the work is done in float32, while the model sees what is returned, in
        half precision.
    """
    if function is None:
        return functools.partial(attack, l2=l2)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def attacked(model, images: Tensor, goal: Goal, *, levels: int | None = None, **options) -> AttackResult:
        if levels is None and getattr(images, "dtype", None) not in HALF:
            with graphs_kept():
                return function(model, images, goal, **options)
        check_images(images)
        shown = _Shown(model, images, levels)
        options = {name: _in_float32(value) for name, value in options.items()}
        radius = math.inf
        if levels is not None:
            options, radius = _with_room(signature, options, images, goal, levels, l2)
        with graphs_kept():
            result = function(shown, shown.clean, goal, **options)
        return shown.returned(result, goal, radius)

    option = inspect.Parameter("levels", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=int | None)
    attacked.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])
    return attacked


def _in_float32(value):
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


def _with_room(
    signature: inspect.Signature, options: dict, images: Tensor, goal: Goal, levels: int, l2: tuple[str, ...]
) -> tuple[dict, float]:
    """The options with largest changes of whole levels, and the smallest radius of an L2 ball among them."""
    known = {name: option.default for name, option in signature.parameters.items()} | options
    euclidean, radius, changed = known.get("norm") == "l2", math.inf, {}
    for name in ("bound", "epsilon", "radius"):
        value = known.get(name)
        if value is None and name in known:  # the attack's own
            value = default_radius(goal, None) if name == "radius" else ball_radius(known["norm"], None, images)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue  # there is none, or the attack has a complaint of its own
        if euclidean or name in l2:
            radius = min(radius, value)
        elif 0 < value < math.inf:
            changed[name] = math.floor(value * (levels - 1) + NEAR) / (levels - 1)
            if not changed[name]:
                raise ValueError(f"{name} is {value}: with {levels} grey levels it must be at least 1/{levels - 1}")
    return options | changed, radius


class _Shown:
    """A model that is shown images as they will be returned: on grey levels, in half precision.

    Parameters
    ----------
    model : callable
    images : Tensor (N, channels, H, W)
        The clean images.
    levels : int or None
    """

    def __init__(self, model, images: Tensor, levels: int | None):
        self.model, self.dtype, self.levels = model, images.dtype, levels
        self.clean = images.detach().to(torch.promote_types(images.dtype, torch.float32))
        if levels is None:
            return
        check_counts(2, levels=levels)
        rounded = to_levels(self.clean, levels)
        if len(images) and (rounded - self.clean).abs().max() * (levels - 1) > (
            NEAR if images.dtype not in HALF else 0.5
        ):
            raise ValueError(
                f"images do not lie on {levels} grey levels: round them first, as flipbook.metrics.to_8bit does for 256"
            )
        self.clean = rounded

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of what becomes of x when it is returned."""
        if self.levels is not None:
            x = _StraightThrough.apply(x, self.levels)
        return self.model(x.to(self.dtype)).to(x.dtype)

    def returned(self, result: AttackResult, goal: Goal, radius: float) -> AttackResult:
        """The result with its images as the model was shown them, or closer to the clean ones to stay in an L2 ball."""
        images = result.images
        if self.levels is not None:
            images = to_levels(images, self.levels)
            beyond = (l2_norm(images - self.clean) > radius).nonzero().flatten()
            if len(beyond):
                images[beyond] = self._within(result.images[beyond], self.clean[beyond], radius)
                with torch.no_grad():
                    result.reached[beyond] = goal[beyond].reached(self(images[beyond]))
                result.first_success[~result.reached] = -1
        reached = result.reached.clone() if self.levels == 256 else None
        return replace(result, images=images.to(self.dtype), reached_8bit=reached)

    def _within(self, x: Tensor, clean: Tensor, radius: float) -> Tensor:
        """Rounded towards the clean images, by as few entries as keep to the radius."""
        top = self.levels - 1
        δ = (x - clean) * top
        down = (δ.abs() + NEAR).floor()
        best = clean
        for part in AWAY:
            size = torch.where(δ.abs() - down >= part, down + 1, down)
            rounded = to_levels(clean + δ.sign() * size / top, self.levels)
            best = torch.where(batch_view(l2_norm(rounded - clean) <= radius, x), rounded, best)
        return best


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, levels: int) -> Tensor:
        return to_levels(x, levels)

    @staticmethod
    def backward(ctx, g: Tensor):
        return g, None
