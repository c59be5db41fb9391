"""What a stored result depends on, as a digest: code, hyper-parameters, tensors, model."""

import hashlib
import json
from collections.abc import Callable

from torch import nn

from flipbook.storage.contents import Contents
from flipbook.storage.package_code import of_code as of_code
from flipbook.storage.package_code import with_imports as with_imports


def digest(*parts) -> str:
    """Hexadecimal SHA-256 of the contents of values of any kind; see `canonical`."""
    text = json.dumps([canonical(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value):
    """Return `value` as something that JSON holds and that is equal exactly for equal contents.

    Numbers, text, tensors, arrays, dataclasses, models, functions, classes, objects, and nests of them. A reader's
    function or class counts with its code and all that the code refers to; what a function only writes to (a count of
    its calls) does not count.

    Raises
    ------
    ValueError
        For values whose content cannot be compared between two runs, such as an open file.
    """
    try:
        return Contents().of(value)
    except RecursionError:
        raise ValueError(
            f"a {type(value).__name__} is nested too deeply for a digest; pass what it holds, or run with store=False"
        ) from None


def of_model(model: nn.Module | Callable) -> str:
    """Digest of a model: of every submodule its class's code, attributes, hooks, parameters and buffers.

    Attributes count as far as their contents can be compared, but for those that `forward` writes. A function counts
    with its code and the models that it refers to.
    """
    return digest(model)


def of_function(function: Callable) -> str:
    """Digest of a function's code and all that the code refers to.

    One of this package counts with its module and all that this imports from the package; one from outside (a
    notebook's cell, a file) also with the whole package. A `functools.partial` counts with its arguments, a method or
    a callable object with its object's content.
    """
    return digest(function)
