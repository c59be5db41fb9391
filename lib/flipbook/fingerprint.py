"""What a stored result depends on, as a digest: code, hyper-parameters, tensors, model.

Code is compared by its syntax tree without docstrings, so that a comment or a reformatting keeps stored results and any
other edit drops them. Only modules of this package that the code really imports count; third-party packages are pinned.
"""

import ast
import functools
import hashlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PACKAGE = __name__.partition(".")[0]


def digest(*parts) -> str:
    """Hexadecimal SHA-256 of canonical parts: numbers, text, tensors, dataclasses and nests of them."""
    text = json.dumps([canonical(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value):
    """Return `value` as something that JSON holds and that is equal exactly for equal values.

    Raises
    ------
    ValueError
        For values whose content cannot be compared between two runs, such as an open file.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return _tensor_digest(torch.as_tensor(value))
    if isinstance(value, dict):
        return {str(name): canonical(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__qualname__} | {f.name: canonical(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, nn.Module):
        return of_model(value)
    if callable(value):
        return of_function(value)
    raise ValueError(
        f"{value!r} is a {type(value).__name__}, whose content has no digest; "
        "pass numbers, text, tensors or functions, or run with store=False"
    )


def of_model(model: nn.Module) -> str:
    """Digest of a model: its structure, every parameter and buffer, and the package's code behind its layers."""
    layers = {type(layer).__module__ for layer in model.modules()}
    return digest(repr(model), model.state_dict(), of_code(name for name in layers if _is_ours(name)))


def of_function(function: Callable) -> str:
    """Digest of a function's code: its own and all that it imports from this package.

    A function from outside the package (a notebook's cell, a test) counts with its source and the whole package. A
    `functools.partial` counts with its arguments.
    """
    if isinstance(function, functools.partial):
        return digest(of_function(function.func), function.args, function.keywords)
    function = inspect.unwrap(function)
    if _is_ours(getattr(function, "__module__", "") or ""):
        return digest(function.__qualname__, of_code([function.__module__]))
    captured = inspect.getclosurevars(function).nonlocals
    return digest(_source(function), captured, of_code(_whole_package()))


def of_code(modules: Iterable[str]) -> str:
    """Digest of the code of these modules of the package and of all that they import from it."""
    return digest({name: _code_digest(_path(name)) for name in with_imports(modules)})


def with_imports(modules: Iterable[str]) -> list[str]:
    """Return these modules of the package and those that they import from it, directly or not, sorted."""
    found, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return sorted(found)


def _imports(module: str) -> set[str]:
    """Modules of the package that a module's code names in import statements."""
    path = _path(module)
    here = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for level, source, inside in _import_statements(path, path.stat().st_mtime_ns):
        source = importlib.util.resolve_name("." * level + source, here) if level else source
        if _is_ours(source):
            # `from package import name`: the submodule where there is one, otherwise what __init__ holds.
            wholes = (f"{source}.{name}" for name in inside)
            names |= {whole if _path(whole) else source for whole in wholes} if inside else {source}
    return names


@functools.lru_cache(maxsize=1024)
def _import_statements(path: Path, _changed: int) -> list[tuple[int, str, tuple[str, ...]]]:
    """Level, module and names of every import statement of a file; without names, the module itself is imported."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return found


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(f"{PACKAGE}.")


def _path(module: str) -> Path | None:
    """File of a module of the package, without importing it."""
    base = Path(__file__).parent.joinpath(*module.split(".")[1:])
    candidates = (
        [base.with_suffix(".py"), base / "__init__.py"] if base != Path(__file__).parent else [base / "__init__.py"]
    )
    return next((path for path in candidates if path.is_file()), None)


def _whole_package() -> list[str]:
    """Every module of the package that can change a result; what runs notebooks and draws tables cannot."""
    root = Path(__file__).parent
    found = [path.relative_to(root).with_suffix("").parts for path in root.rglob("*.py") if path.stem != "__init__"]
    return [".".join((PACKAGE, *parts)) for parts in found if parts[0] not in ("runner", "report", "__main__")]


@functools.lru_cache(maxsize=1024)
def _code_of(path: Path, _changed: int) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _code_digest(path: Path) -> str:
    return _code_of(path, path.stat().st_mtime_ns)


def _source(function: Callable) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        raise ValueError(
            f"{function!r} has no source to fingerprint; define it in a file or a cell, or run with store=False"
        ) from None


def _tensor_digest(tensor: Tensor) -> str:
    array = tensor.detach().cpu().contiguous()
    contents = hashlib.sha256(array.reshape(-1).view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return f"tensor {tuple(array.shape)} {array.dtype} {contents.hexdigest()}"
