"""The project's own code as a digest, which a comment or a reformatting keeps and any other edit changes.

Code is compared by its syntax tree without docstrings. Only modules that the code really imports count; third-party
packages are pinned. What a stored row depends on, and what makes an artefact stale, follow this one rule.
"""

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

PACKAGES = {"flipbook": Path(__file__).resolve().parents[1]}  # whose code counts, with their folders
DATA = {".json", ".csv"}  # endings of data that modules read from their own folder
_WITHOUT_EFFECT = set()  # modules and packages, by their full names, that cannot change a result


def count_in(package: str, folder: Path, without: Iterable[str] = ()) -> None:
    """Count the code of another package, too, but for parts of it that cannot change a result."""
    PACKAGES[package] = folder
    _WITHOUT_EFFECT.update(f"{package}.{part}" for part in without)


def of_code(modules: Iterable[str]) -> str:
    """Digest of the code of these modules of the packages and of all that they import from them."""
    found = {name: of_file(_path(name)) for name in with_imports(modules)}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def with_imports(modules: Iterable[str], lib: Path | None = None) -> list[str]:
    """Return these modules of the packages and those that they import from them, directly or not, sorted.

    `lib` is a folder with packages of the same names, where others than those at work are meant.
    """
    found, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and _path(name, lib):
            found.add(name)
            waiting += _imports(name, lib)
    return sorted(found)


def files_behind(cells: Iterable[str], lib: Path) -> dict[Path, str]:
    """Digests of what these cells of a notebook need of the packages in `lib`: modules, and the data beside them.

    A cell that is no plain Python counts as one that imports nothing.
    """
    named = set()
    for cell in cells:
        try:
            named |= _named(_statements(cell), "", lib)
        except SyntaxError:
            continue
    paths = [_path(module, lib) for module in with_imports(named, lib)]
    data = {file for path in paths for file in path.parent.iterdir() if file.suffix in DATA}
    return {path: of_file(path) for path in paths} | {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(data)
    }


def whole_package(name: str = "flipbook") -> list[str]:
    """Every module of a package that can change a result."""
    folder = PACKAGES[name]
    found = [
        ".".join((name, *path.relative_to(folder).with_suffix("").parts))
        for path in folder.rglob("*.py")
        if path.stem != "__init__"
    ]
    return [module for module in found if ".".join(module.split(".")[:2]) not in _WITHOUT_EFFECT]


def is_ours(module: str) -> bool:
    """Whether a module, by its full name, belongs to the packages."""
    return module.partition(".")[0] in PACKAGES


def of_file(path: Path) -> str:
    """Digest of the code in a file."""
    return _code_of(path, path.stat().st_mtime_ns)


def _imports(module: str, lib: Path | None) -> set[str]:
    """Modules of the packages that a module's code names in import statements."""
    path = _path(module, lib)
    here = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _named(_import_statements(path, path.stat().st_mtime_ns), here, lib)


def _named(statements: list[tuple[int, str, tuple[str, ...]]], here: str, lib: Path | None) -> set[str]:
    names = set()
    for level, source, inside in statements:
        source = importlib.util.resolve_name("." * level + source, here) if level else source
        if is_ours(source):
            # `from package import name`: the submodule where there is one, otherwise what __init__ holds.
            wholes = (f"{source}.{name}" for name in inside)
            names |= {whole if _path(whole, lib) else source for whole in wholes} if inside else {source}
    return names


@functools.lru_cache(maxsize=1024)
def _import_statements(path: Path, _changed: int) -> list[tuple[int, str, tuple[str, ...]]]:
    return _statements(path.read_text(encoding="utf-8"))


def _statements(code: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """Level, module and names of every import statement; without names, the module itself is imported."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return found


def _path(module: str, lib: Path | None = None) -> Path | None:
    """File of a module of the packages, without importing it."""
    package, *parts = module.split(".")
    base = (lib / package if lib else PACKAGES[package]).joinpath(*parts)
    candidates = [base.with_suffix(".py"), base / "__init__.py"] if parts else [base / "__init__.py"]
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _code_of(path: Path, _changed: int) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
