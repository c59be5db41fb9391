"""Where a piece of code comes from: this package, an installed one, or the reader."""

import functools
import importlib.metadata
import site
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

from flipbook.storage.package_code import is_ours

OURS, INSTALLED, READERS = "ours", "installed", "reader's"


def of_globals(names: dict) -> str:
    """Origin of the code that runs with these globals."""
    return _origin(names.get("__name__") or "", names.get("__file__"))


def of_class(cls: type) -> str:
    """Origin of a class, by the module that it says it is from."""
    return of_name(getattr(cls, "__module__", None) or "")


def of_module(module: ModuleType) -> str:
    """Origin of a module."""
    return _origin(module.__name__, getattr(module, "__file__", None))


def of_name(module: str) -> str:
    """Origin of a module by its full name."""
    return _origin(module, getattr(sys.modules.get(module), "__file__", None))


def version(module: str) -> str:
    """Name of the installed package that a module belongs to, with its version where it says one."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    return f"{top} {_version(top)}"


@functools.lru_cache(maxsize=512)
def _version(top: str) -> str:
    try:
        return importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(top), "__version__", ""))


@functools.lru_cache(maxsize=4096)
def _origin(module: str, file: str | None) -> str:
    if is_ours(module):
        return OURS
    if module == "__main__":
        return READERS  # whichever program runs the cells
    if module.partition(".")[0] in sys.stdlib_module_names:
        return INSTALLED
    if file is not None:
        return INSTALLED if any(Path(file).is_relative_to(folder) for folder in _folders()) else READERS
    # Without a file: typed in (__main__), made on the fly, or inside a compiled package (torch._C._VariableFunctions).
    top = sys.modules.get(module.partition(".")[0])
    beyond = getattr(top, "__file__", None)
    return _origin(top.__name__, beyond) if beyond and "." in module else READERS


@functools.cache
def _folders() -> tuple[Path, ...]:
    """Folders of the standard library and of installed packages."""
    named = [sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(Path(each) for each in {*named, *site.getsitepackages(), site.getusersitepackages()})
