"""A notebook's parameters: which there are, and texts turned into values of the right type.

papermill ignores a name that a notebook does not have and guesses types; both would silently compute something else.
"""

import ast
from pathlib import Path

from companion.refusal import Refusal, nearest
from companion.runner.cells import cells
from companion.target import Target, shown

RESERVED = {
    "profile": "--profile",
    "device": "--device",
    "retrain": "victims --force",
    "artefact": "the artefact's name",
}
TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
}


def defaults(notebook: Path) -> dict:
    """Return the parameters of a notebook with their defaults; a default that is an expression counts as None.

    They are the names assigned in the cell tagged `parameters`. papermill has a reader of its own, which takes a line
    like `sizes = dict(a=1)` for no parameter at all.

    Raises
    ------
    Refusal
        When the file is not a notebook, or the cell is not Python.
    """
    texts = [source for _, source, tags in cells(notebook) if "parameters" in tags]
    try:
        lines = [line for text in texts for line in ast.parse(text).body]
    except SyntaxError as error:
        raise Refusal(f"{shown(notebook)}: its parameters cell is not Python ({error})") from None
    assigned = [line for line in lines if isinstance(line, ast.Assign | ast.AnnAssign) and line.value]
    pairs = [(target, line.value) for line in assigned for target in getattr(line, "targets", None) or [line.target]]
    return {target.id: _literal(value) for target, value in pairs if isinstance(target, ast.Name)}


def chosen(target: Target, device: str, retrain: bool) -> dict:
    """Return what papermill passes to the notebook: profile and device where it has them, its row's values, tweaks.

    Raises
    ------
    Refusal
        For a name that the notebook lacks or a value of the wrong type.
    """
    known = defaults(target.row.path)
    if retrain and "retrain" not in known:
        raise Refusal(f'{shown(target.row.path)} has no parameter "retrain", which --force sets for it')
    general = {"profile": target.profile, "device": device} | ({"retrain": True} if retrain else {})
    values = {name: value for name, value in general.items() if name in known}
    for name, text in (target.row.given | target.tweaks).items():
        if name not in known:
            raise Refusal(f'{shown(target.row.path)} has no parameter "{name}"{nearest(name, known)}')
        values[name] = parsed(name, text, known[name])
    return values


def is_default(target: Target) -> bool:
    """Whether `target` runs its notebook with the notebook's own parameters."""
    known = defaults(target.row.path)
    return not target.tweaks and all(
        parsed(name, text, known.get(name)) == known.get(name)
        for name, text in ({"profile": target.profile} | target.row.given).items()
        if name in known
    )


def parsed(name: str, text: str, default):
    """Return `text` as a value of the type of `default`.

    Raises
    ------
    Refusal
        When it is not one.
    """
    kind = type(default)
    wrong = Refusal(f'parameter {name} must be {NAMES.get(kind, "a value")}, such as {default!r}, not "{text}"')
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in TRUTH:
            raise wrong
        return TRUTH[text.lower()]
    if kind in (list, tuple):
        value = _literal(text if text[:1] in "[(" else f"[{text}]")
        if not isinstance(value, list | tuple):
            raise wrong
        return list(value)
    value = _literal(text)
    if kind is float and type(value) is int:
        value = float(value)
    if kind in (int, float) and type(value) is not kind:
        raise wrong
    return text if value is None and text != "None" else value


def distribute(targets: list[Target], tweaks: dict[str, str]) -> tuple[list[Target], list[Target]]:
    """Give each target the tweaks that its notebook has; return the tweaked ones, and those that have none of them.

    Raises
    ------
    Refusal
        When a tweak is reserved, when no notebook has it, or when its value has the wrong type.
    """
    for name in tweaks:
        if name in RESERVED:
            raise Refusal(f'parameter "{name}" is set by {RESERVED[name]}, not by -p')
    known = {target.row.path: defaults(target.row.path) for target in targets if target.row.path.is_file()}
    every_name = {name for names in known.values() for name in names} - set(RESERVED)
    for name in tweaks:
        if name not in every_name:
            hint = nearest(name, every_name) or f"; they have {', '.join(sorted(every_name)) or 'none'}"
            raise Refusal(f'no notebook that you asked for has a parameter "{name}"{hint}')
    tweaked, untouched = [], []
    for target in targets:
        names = known.get(target.row.path, {})
        own = {name: text for name, text in tweaks.items() if name in names}
        for name, text in own.items():
            parsed(name, text, names[name])
        (tweaked if own else untouched).append(Target(target.row, target.profile, own))
    return tweaked, untouched


def _literal(text: str | ast.expr):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return None
