"""What a function does, read from its compiled code: there is one even where no source is kept.

Compiled code is what really runs: a file that was edited after it was imported does not deceive it, two lambdas on one
line are two, and comments and line numbers have no part in it.
"""

import dis
from collections.abc import Iterator
from types import CodeType

# Methods of lists, sets, dictionaries and their like that change what they are called on.
CHANGING = {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem"}
CHANGING |= {"popleft", "remove", "setdefault", "update"}


def description(code: CodeType, documented: str | None = None) -> dict:
    """Return a function's code as nests of text and numbers, without names of files, line numbers and docstring.

    Parameters
    ----------
    code : code
    documented : str, optional
        The function's docstring.
    """
    constants = [_constant(value) for value in code.co_consts]
    if documented is not None and code.co_consts and code.co_consts[0] == documented:
        constants[0] = None
    return {
        "code": code.co_code.hex(),
        "exceptions": getattr(code, "co_exceptiontable", b"").hex(),
        "constants": constants,
        "names": [*code.co_names],
        "variables": [*code.co_varnames, "/", *code.co_freevars, "/", *code.co_cellvars],
        "arguments": [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags],
    }


def with_nested(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of the functions, classes and comprehensions inside it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from with_nested(value)


def globals_read(code: CodeType) -> list[str]:
    """Names that the code looks up among its globals, sorted; attributes are none of them."""
    steps = (step for each in with_nested(code) for step in dis.get_instructions(each))
    return sorted({s.argval for s in steps if s.opname.startswith("LOAD_") and s.opname.endswith(_GLOBAL)})


def attributes_read(code: CodeType) -> set[str]:
    """Names of attributes that the code asks for, of whatever object."""
    steps = (step for each in with_nested(code) for step in dis.get_instructions(each))
    return {s.argval for s in steps if s.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM")}


def imported(code: CodeType) -> list[str]:
    """Modules that the code imports while it runs, sorted, relative ones as written."""
    steps = (step for each in with_nested(code) for step in dis.get_instructions(each))
    return sorted({s.argval for s in steps if s.opname == "IMPORT_NAME"})


def written(code: CodeType) -> set[tuple[str, str | None]]:
    """What the code writes to outside itself: the name of a global, captured or passed object, and the attribute.

    A count of calls, a list of losses, the last activations: what a function notes down is no input of it. The
    attribute is None where the object itself is changed (`log.append(x)`, `count["calls"] += 1`) or bound anew.
    """
    found = set()
    for each in with_nested(code):
        steps = [step for step in dis.get_instructions(each) if step.opname not in ("EXTENDED_ARG", "CACHE", "NOP")]
        for place, step in enumerate(steps):
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF"):
                found.add((step.argval, None))
            elif step.opname.startswith(_ROOTS):
                name = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
                found |= {(name, attribute) for attribute in _changed(steps[place + 1 : place + 8])}
    return found


_GLOBAL = ("_GLOBAL", "_GLOBALS", "_NAME")
_ROOTS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_FAST")


def _changed(steps: list) -> Iterator[str | None]:
    """Attribute (None for the object itself) of the object loaded just before these steps that they change."""
    attribute = None
    for place, step in enumerate(steps):
        following = steps[place + 1] if place + 1 < len(steps) else None
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if step.argval in CHANGING:
                yield attribute
                return
            attribute = attribute or step.argval
        elif step.opname in ("STORE_ATTR", "DELETE_ATTR"):
            yield attribute or step.argval
            return
        elif step.opname == "COPY" and step.arg == 1 and following and following.opname == "LOAD_ATTR":
            yield attribute or following.argval  # x.count += 1
            return
        elif step.opname.startswith("LOAD_") and following and _of_subscript(following):
            yield attribute  # x[i] = ..., x[i] += ...
            return
        else:
            return


def _of_subscript(step) -> bool:
    return step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") or (step.opname == "COPY" and step.arg == 2)


def _constant(value):
    match value:
        case CodeType():
            return description(value)
        case tuple():
            return [_constant(item) for item in value]
        case frozenset():
            return {"any order": sorted(map(repr, value))}
        case str() | bool() | int() | float() | None:
            return value
    return repr(value)  # bytes, complex numbers, Ellipsis
