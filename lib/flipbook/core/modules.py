"""The modules of a model, also of one that is a plain function around them, and the mode that they are in."""

import functools
import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

DEEPEST = 4  # how far functions that call functions are followed


def check_mode(model) -> None:
    """Refuse a model with a module in training mode, where an image's result depends on chance or on its batch.

    A module counts when what its class does depends on the mode, as dropout and batch normalisation do, wherever it is:
    below a root in evaluation mode, or behind a function. So does a root that nobody has called eval() on.

    Raises
    ------
    ValueError
        With the name of the first such module.
    """
    for root in roots(model):
        parts = dict(root.named_modules())
        for name, module in parts.items():
            if _in_training(module) and _heeds_its_mode(type(module)):
                where = f"part {name!r} ({type(module).__name__}) of it" if name else type(module).__name__
                raise ValueError(
                    f"model is in training mode, at least {where}, so that an image's result depends on chance or on "
                    "its batch: call eval() on it, and on every module behind it"
                )
        if all(_in_training(each) for each in parts.values()) and _can_leave(root):
            raise ValueError(
                "model is in training mode, where an image's result depends on its batch: call model.eval()"
            )


@contextmanager
def graphs_kept() -> Iterator[None]:
    """Context in which a compiled model, or a part of one, keeps what several backward passes through it need.

    Raises
    ------
    ValueError
        Where the model was compiled before without it.
    """
    config = sys.modules.get("torch._functorch.config")  # there once anything was compiled
    if config is None:
        yield
        return
    try:
        with config.patch(donated_buffer=False):
            yield
    except RuntimeError as error:
        if "donated buffers" not in str(error):
            raise
        raise ValueError(
            "model was compiled for a single backward pass: compile it anew and give it to the attack before anything "
            "else, or set torch._functorch.config.donated_buffer = False first, or give the model as it was"
        ) from error


def roots(model) -> Iterator[nn.Module]:
    """Modules that a model calls: itself, or those that a function, method, partial or callable object refers to."""
    seen, waiting = set(), [(model, 0)]
    while waiting:
        thing, depth = waiting.pop()
        if id(thing) in seen or depth > DEEPEST:
            continue
        seen.add(id(thing))
        if isinstance(thing, nn.Module):
            yield thing
        else:
            waiting += [(each, depth + 1) for each in _referred(thing)]


def _referred(thing) -> list:
    """What a callable, or a container, may call on."""
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, types.FunctionType):
        if _installed(thing.__module__):
            return list(inspect.getclosurevars(thing).nonlocals.values())
        variables = inspect.getclosurevars(thing)
        return [*variables.nonlocals.values(), *variables.globals.values(), *(thing.__defaults__ or ())]
    if isinstance(thing, list | tuple | set):
        return list(thing)[:100]
    if isinstance(thing, dict):
        return list(thing.values())[:100]
    if callable(thing) and not isinstance(thing, type) and not _installed(type(thing).__module__):
        return [*vars(thing).values(), type(thing).__call__] if hasattr(thing, "__dict__") else []
    return []


def _installed(module: str | None) -> bool:
    return (module or "").partition(".")[0] in ("torch", "torchvision", "numpy", "builtins", "timm", "transformers")


def _in_training(module: nn.Module) -> bool:
    return bool(getattr(module, "training", False))  # frozen scripts have no mode


@functools.lru_cache(maxsize=1024)
def _heeds_its_mode(kind: type) -> bool:
    """Whether a method of the class, or of one that it comes from, reads the mode."""
    return any(
        isinstance(method, types.FunctionType) and "training" in method.__code__.co_names
        for base in kind.__mro__
        if base not in (nn.Module, object) and not base.__module__.startswith(("torch.jit", "torch.fx"))
        for name, method in vars(base).items()
        if name not in ("train", "eval", "__init__")
    )


def _can_leave(root: nn.Module) -> bool:
    """Whether eval() does something: exported programs have one mode, the one that they were exported in."""
    return type(root).__name__ != "GraphModule"
