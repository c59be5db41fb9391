"""What a value is made of, as nests of text and numbers: equal for equal contents, in this process and the next.

Functions and classes of the reader's (a notebook's cell, a file beside it) count with their compiled code and with all
that it refers to: globals and their values, helpers, captured variables, defaults, attributes. Those of this package
count with the code of their modules, installed ones with name and version.
"""

import contextlib
import copyreg
import functools
import hashlib
import importlib
import importlib.util
import io
import json
import pickletools
import re
import sys
import types
import warnings
import weakref
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import Field, is_dataclass

import numpy as np
import torch
from torch import Tensor, nn

from flipbook.goals.goal import Goal
from flipbook.storage import bytecode, origins
from flipbook.storage.origins import INSTALLED, OURS, READERS
from flipbook.storage.package_code import of_code, whole_package

_CONTAINERS = (list, dict, set, deque, bytearray, Tensor, np.ndarray)
_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)
_NAMED = (*_METHODS, types.GetSetDescriptorType, types.MemberDescriptorType)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# Members of a class that say nothing of what it does, or that are made from the others.
_OF_EVERY_CLASS = {"__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__"}
_OF_EVERY_CLASS |= {"__annotate__", "__annotate_func__", "__annotations_cache__", "__firstlineno__", "_abc_impl"}
_OF_EVERY_CLASS |= {"__static_attributes__", "__abstractmethods__", "__parameters__", "__orig_bases__"}
_OF_EVERY_CLASS |= {"__dataclass_params__", "__match_args__"}


class Contents:
    """One look into a value. What is met twice, or contains itself, is described once."""

    def __init__(self):
        self._met: dict[int, tuple[int, object]] = {}  # with the object, so that no other one gets its id
        self._open: set[int] = set()  # containers that are being described

    def of(self, value):
        """Return what JSON holds.

        Raises
        ------
        ValueError
            Where something has no content that could be compared between two runs, such as an open file.
        """
        match value:
            case None | bool() | int() | float() | str():
                return value
            case Tensor() | np.ndarray() | np.generic():
                return _of_tensor(value)
            case dict() | types.MappingProxyType() if type(value).__module__ in ("builtins", "collections"):
                return self._inside(value, lambda: self._pairs(value))
            case list() | tuple() if type(value) in (list, tuple):
                return self._inside(value, lambda: [self.of(item) for item in value])
            case set() | frozenset() if type(value) in (set, frozenset):
                return {"any order": _sorted(self.of(item) for item in value)}
            case bytes() | bytearray() | complex() | slice() | range():
                return f"{type(value).__name__} {value!r}"
            case torch.dtype() | torch.device() | torch.layout() | torch.memory_format() | types.EllipsisType():
                return str(value)
            case torch.finfo() | torch.iinfo():
                return str(value)
            case types.ModuleType():
                return self._module(value, set())
            case types.CodeType():
                return bytecode.description(value)
            case staticmethod() | classmethod():
                return [type(value).__name__, self.of(value.__func__)]
            case weakref.ref():
                return self.of(value())
            case type():
                return self._class(value)
            case nn.Module():
                return self._once(value, self._network)
        if is_dataclass(value) and (isinstance(value, Goal) or origins.of_class(type(value)) == OURS):
            return self._inside(value, lambda: {"type": type(value).__qualname__} | self._attributes(value))
        return self._callable(value) if callable(value) else self._once(value, self._object)

    def as_far_as_possible(self, value):
        """Return the same; for what has no content that could be compared, its type, of a function its own code."""
        met = len(self._met)
        try:
            return self.of(value)
        except (ValueError, RecursionError):
            while len(self._met) > met:
                self._met.popitem()  # a description that is thrown away must not stand for a later one
            code = getattr(value, "__code__", None)
            return ["no digest", type(value).__qualname__, self.of(code) if isinstance(code, types.CodeType) else ""]

    def _once(self, value, describe: Callable):
        if id(value) in self._met:
            return {"met before": self._met[id(value)][0]}
        self._met[id(value)] = (len(self._met), value)
        return describe(value)

    def _inside(self, container, describe: Callable):
        if id(container) in self._open:
            return "itself"
        self._open.add(id(container))
        try:
            return describe()
        finally:
            self._open.discard(id(container))

    def _pairs(self, values):
        if all(isinstance(name, str) for name in values):
            return {name: self.of(item) for name, item in values.items()}
        return {"pairs": _sorted([self.of(name), self.of(item)] for name, item in values.items())}

    # Functions

    def _callable(self, value):
        match value:
            case types.FunctionType():
                return self._function(value)
            case types.MethodType():
                return ["method", self.of(value.__func__), self._owner(value.__self__, value.__func__)]
            case functools.partial():
                return ["partial", self.of(value.func), self.of(value.args), self.of(value.keywords)]
            case types.BuiltinFunctionType() | types.MethodWrapperType():
                owner = value.__self__
                bound = None if owner is None or isinstance(owner, types.ModuleType) else self.of(owner)
                return [getattr(value, "__module__", None), value.__qualname__, bound]
        if isinstance(value, _NAMED):
            return f"{value.__objclass__.__qualname__}.{value.__name__}"
        if type(value) is functools._lru_cache_wrapper:
            return ["cached", self.of(value.__wrapped__)]
        name, module = getattr(value, "__name__", None), getattr(value, "__module__", None)
        if isinstance(name, str) and isinstance(module, str) and origins.of_name(module) == INSTALLED:
            return [origins.version(module), module, name]  # functions of compiled packages
        return self._once(value, self._object)

    def _owner(self, owner, function):
        """Describe the object that a method belongs to, without what the method notes down there."""
        return self.of(owner) if isinstance(owner, nn.Module | type) else self._once(
            owner, lambda each: self._object(each, _notes(function))
        )  # fmt: skip

    def _function(self, function: types.FunctionType):
        origin, module = origins.of_globals(function.__globals__), function.__globals__.get("__name__")
        if origin == READERS:
            return self._once(function, self._readers_function)
        own = of_code([module]) if origin == OURS else origins.version(module)
        if not function.__closure__:
            return [own, module, function.__qualname__]
        return [own, module, function.__qualname__, self._once(function, self._captured)]

    def _captured(self, function: types.FunctionType) -> list:
        """Captured variables and defaults of a function that was made by a function of a package."""
        lenient = origins.of_globals(function.__globals__) == INSTALLED
        of = self.as_far_as_possible if lenient else self.of
        return [[name, of(value)] for name, value in _cells(function)] + [of(function.__defaults__)]

    def _readers_function(self, function: types.FunctionType) -> dict:
        code, written = function.__code__, bytecode.written(function.__code__)
        attributes = bytecode.attributes_read(code)
        names = code.co_varnames[: code.co_argcount]
        defaults = dict(zip(names[::-1], (function.__defaults__ or ())[::-1], strict=False))
        read = {
            name: function.__globals__[name] for name in bytecode.globals_read(code) if name in function.__globals__
        }
        outside = {"default": defaults | (function.__kwdefaults__ or {}), "captured": dict(_cells(function))}
        outside |= {"global": read, "attribute": vars(function)}
        described = {
            kind: {name: self._referred(function, kind, name, value, written, attributes) for name, value in of.items()}
            for kind, of in outside.items()
        }
        modules = [self._module(module, attributes) for module in _imported(function)]
        own = bytecode.description(code, function.__doc__)
        return {"function": own, "imports": modules, "package": self._package()} | described

    def _referred(self, function, kind: str, name: str, value, written: set, attributes: set[str]):
        notes = {attribute for root, attribute in written if root == name and attribute}
        if (name, None) in written and _plain(value):
            return "notes"
        try:
            if isinstance(value, types.ModuleType):
                return self._module(value, attributes)
            if isinstance(value, type) and notes:
                return self._class(value, notes)
            if notes and not isinstance(value, nn.Module | types.FunctionType | types.MethodType):
                return self._once(value, lambda each: self._object(each, notes))
            return self.of(value)
        except ValueError as error:
            raise ValueError(f"{kind} {name} of {function.__qualname__}: {error}") from None

    @functools.lru_cache  # noqa: B019 - the describer lives for one digest
    def _package(self, name: str = "flipbook") -> str:
        return of_code(whole_package(name))

    # Modules, classes and objects

    def _module(self, module: types.ModuleType, attributes: set[str]):
        """Describe a module by what is asked of it; a reader's of which nothing is asked by name, by all its code."""
        if (origin := origins.of_module(module)) != READERS:
            name = module.__name__
            return [name, origins.version(name) if origin == INSTALLED else self._package(name.partition(".")[0])]
        if used := sorted(attributes & vars(module).keys()):
            parts = {name: vars(module)[name] for name in used}
            modules = {name: self._module(part, attributes) for name, part in parts.items() if _is_module(part)}
            return modules | {name: self.of(part) for name, part in parts.items() if not _is_module(part)}
        return self._once(module, self._all_code)

    def _all_code(self, module: types.ModuleType) -> dict:
        kinds = (types.FunctionType, type, types.ModuleType)
        parts = {name: part for name, part in sorted(vars(module).items()) if isinstance(part, kinds)}
        return {name: self.as_far_as_possible(part) for name, part in parts.items()}

    def _class(self, cls: type, without: set[str] = frozenset()):
        match origins.of_class(cls):
            case origins.READERS:
                return self._once(cls, lambda each: self._readers_class(each, without))
            case origins.OURS:
                return [of_code([cls.__module__]), cls.__qualname__]
        own = [origins.version(cls.__module__), cls.__module__, cls.__qualname__]
        return own + ([patched] if (patched := self._patched(cls)) else [])

    def _patched(self, cls: type) -> dict:
        """Methods that a reader put in place of an installed class's own, or that were compiled for it on the fly."""
        functions = {
            f"{each.__qualname__}.{name}": member
            for each in reversed(cls.__mro__)
            for name, member in vars(each).items()
            if isinstance(member, types.FunctionType) and origins.of_globals(member.__globals__) == READERS
        }
        return {name: self.as_far_as_possible(function) for name, function in functions.items()}

    def _readers_class(self, cls: type, without: set[str]) -> dict:
        members = {name: value for name, value in sorted(vars(cls).items()) if name not in without | _OF_EVERY_CLASS}
        described = {}
        for name, member in members.items():
            try:
                described[name] = self._member(member)
            except ValueError as error:
                raise ValueError(f"{cls.__qualname__}.{name}: {error}") from None
        bases = [self.of(base) for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
        return {"class": cls.__qualname__, "bases": bases, "members": described}

    def _member(self, member):
        match member:
            case property():
                return ["property", self.of(member.fget), self.of(member.fset), self.of(member.fdel)]
            case functools.cached_property():
                return ["cached property", self.of(member.func)]
            case dict() if member and all(isinstance(each, Field) for each in member.values()):
                return [[f.name, self.of(f.default), self.of(f.default_factory)] for f in member.values()]
        return f"{type(member).__name__} {member.__name__}" if isinstance(member, _NAMED) else self.of(member)

    def _object(self, value, without: set[str] = frozenset()):
        cls = type(value)
        if origins.of_class(cls) == INSTALLED:
            return ["object", self._reduced(value)]
        own = self._class(cls)
        call = next((vars(each)["__call__"] for each in cls.__mro__ if "__call__" in vars(each)), None)
        without = without | (_notes(call) if isinstance(call, types.FunctionType) else set())
        content = next((base(value) for base in (list, tuple, dict, set, frozenset) if isinstance(value, base)), None)
        return {"object": own, "content": self.of(content)} | self._attributes(value, without)

    def _attributes(self, value, without: set[str] = frozenset()) -> dict:
        slots = [name for each in type(value).__mro__ for name in _slots(each)]
        found = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
        return {name: self.of(each) for name, each in sorted(found.items()) if name not in without}

    def _reduced(self, value):
        """Describe an object of an installed package by what it would be pickled as."""
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            state = reduce(value) if reduce else value.__reduce_ex__(4)
        except Exception:  # whatever a foreign class raises where it cannot be pickled
            state = None
        if isinstance(state, str):
            return [origins.version(type(value).__module__), state]
        if state is None or isinstance(value, types.GeneratorType | io.IOBase):
            raise ValueError(
                f"{_short(value)} is a {type(value).__name__}, whose content has no digest; "
                "pass numbers, text, tensors or functions, or run with store=False"
            )
        return [self.of(list(part) if isinstance(part, Iterator) else part) for part in state]

    # Models

    def _network(self, model: nn.Module):
        if isinstance(model, torch.jit.ScriptModule):
            return ["script", _of_script(model)]
        if type(model).__name__ == "OptimizedModule" and "_orig_mod" in model._modules:
            return ["compiled", self.of(model._orig_mod)]  # torch.compile
        traced = isinstance(model, torch.fx.GraphModule)
        without = _INTERNALS | _notes(type(model).forward)
        state = {
            name: self.as_far_as_possible(value)
            for name, value in sorted(vars(model).items())
            if name not in without and not (traced and name != "training")
        }
        hooks = {
            name: [self.as_far_as_possible(hook) for hook in vars(model).get(name, {}).values()] for name in _HOOKS
        }
        own_state = type(model).get_extra_state is not nn.Module.get_extra_state
        return {
            "class": self._class(type(model)),
            "code": model.code if traced else "",
            "attributes": state,
            "hooks": hooks,
            "tensors": [[name, self.of(t)] for name, t in (*model._parameters.items(), *model._buffers.items())],
            "extra": self.as_far_as_possible(model.get_extra_state()) if own_state else None,
            "parts": [[name, self.of(part)] for name, part in model._modules.items()],
        }


_COUNTER = rb"[./]?___torch_mangle_\d+"
_INTERNALS = frozenset(vars(nn.Module())) - {"training"}


def _notes(method: Callable) -> set[str]:
    """Attributes of its own object that a method writes: a count of calls, the last activations."""
    code = getattr(method, "__code__", None)
    if code is None or not code.co_argcount:
        return set()
    return {attribute for root, attribute in bytecode.written(code) if root == code.co_varnames[0] and attribute}


def _plain(value) -> bool:
    """Whether it is a number, text or one of the usual containers, which functions keep their notes in."""
    return isinstance(value, (*_CONTAINERS, str, int, float, type(None)))


def _cells(function: types.FunctionType) -> list[tuple[str, object]]:
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not assigned yet
            found.append((name, cell.cell_contents))
    return found


def _imported(function: types.FunctionType) -> list[types.ModuleType]:
    """Modules that a reader's function imports when it runs; a reader's own is imported here if it was not yet."""
    found = []
    for name in bytecode.imported(function.__code__):
        for full in (name, f"{function.__globals__.get('__package__') or ''}.{name}".strip(".")):
            with contextlib.suppress(ImportError, ValueError):
                if full in sys.modules or (importlib.util.find_spec(full) and origins.of_name(full) == READERS):
                    found.append(importlib.import_module(full))
                    break
    return found


def _is_module(value) -> bool:
    return isinstance(value, types.ModuleType)


def _slots(cls: type) -> list[str]:
    slots = vars(cls).get("__slots__", ())
    return [each for each in ([slots] if isinstance(slots, str) else slots) if each not in ("__dict__", "__weakref__")]


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _sorted(items) -> list:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _of_tensor(value) -> str:
    if isinstance(value, np.ndarray) and value.dtype.kind not in "biufc":
        kept = value.tolist() if value.dtype.hasobject or value.dtype.kind in "US" else value.tobytes().hex()
        return f"array {value.shape} {value.dtype} {Contents().of(kept)}"
    tensor = torch.as_tensor(value).detach()
    if tensor.is_meta:
        raise ValueError(f"a tensor {tuple(tensor.shape)} on the device meta has no content; put it on another device")
    tensor = tensor.cpu()
    tensor = (tensor if tensor.layout == torch.strided else tensor.to_dense()).resolve_conj().contiguous()
    contents = hashlib.sha256(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return f"tensor {tuple(tensor.shape)} {tensor.dtype} {contents.hexdigest()}"


def _of_script(model: torch.jit.ScriptModule) -> list:
    """Contents of a scripted model's archive, without what only helps to debug it and without counters in names."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that there are newer ways to export a model
        torch.jit.save(model, buffer)
    found = []
    with zipfile.ZipFile(buffer) as archive:
        for path in archive.namelist():
            name, content = path.partition("/")[2], archive.read(path)
            if name.endswith((".debug_pkl", "serialization_id")) or name.startswith("traced_inputs"):
                continue
            if name.endswith(".pkl"):
                content = "\n".join(f"{op.name} {argument}" for op, argument, _ in pickletools.genops(content)).encode()
            content = re.sub(_COUNTER, b"", content)
            found.append([re.sub(_COUNTER, b"", name.encode()).decode(), hashlib.sha256(content).hexdigest()])
    return sorted(found)
