"""The plan of the house: two wings, imports that run one way, nothing private taken from another room."""

import ast
from pathlib import Path

import pytest

LIB = Path(__file__).parents[1] / "lib"
# A room is a package of a wing, or a module beside them; it imports rooms of earlier lines only.
ORDER = {
    "flipbook": [
        ["goals"],
        ["core"],
        ["solvers", "metrics"],
        ["graphs", "sparse"],
        ["storage"],
        ["generative"],
        ["attacks.engines"],
        ["attacks"],
        ["universal"],
        ["evaluation"],
    ],
    "companion": [
        ["paths", "refusal"],
        ["artefacts"],
        ["target"],
        ["published"],
        ["datasets"],
        ["victims"],
        ["sampling"],
        ["report"],
        ["papers"],
        ["runner"],
    ],
}


def room(module: str) -> str:
    """Room of a module by its dotted name: "flipbook.attacks.engines", "companion.paths"; a wing itself for its own."""
    wing, *parts = module.split(".")
    rooms = {name for line in ORDER.get(wing, []) for name in line}
    found = [".".join(parts[:n]) for n in (2, 1) if ".".join(parts[:n]) in rooms]
    return f"{wing}.{found[0]}" if found else wing


def imports(lib: Path, when_loaded: bool = False) -> list[tuple[str, str, str]]:
    """Every import of one of our modules by another: (importing, imported, name taken).

    `when_loaded` leaves out those inside functions.
    """
    known = {_dotted(path, lib): path for path in lib.rglob("*.py")}
    found = []
    for module, path in known.items():
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body if when_loaded else ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [(module, alias.name, "") for alias in node.names if alias.name.partition(".")[0] in ORDER]
            elif isinstance(node, ast.ImportFrom):
                base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
                source = ".".join(part for part in (base, node.module) if part)
                for alias in node.names:
                    inside = f"{source}.{alias.name}"
                    if source.partition(".")[0] in ORDER:
                        found.append((module, inside if inside in known else source, alias.name))
    return found


def breaches(lib: Path) -> list[str]:
    """What the code of `lib` does against the plan, a line each."""
    level = {
        f"{wing}.{name}": number for wing, lines in ORDER.items() for number, line in enumerate(lines) for name in line
    }
    said = []
    for module, imported, name in imports(lib):
        here, there = room(module), room(imported)
        if module.startswith("flipbook") and imported.startswith("companion"):
            said.append(f"{module} imports {imported}: the library knows nothing of the companion")
        if here == there or module.endswith("__main__") or module == "flipbook.attacks" == imported:
            continue
        if name.startswith("_") or any(part.startswith("_") for part in imported.split(".")):
            said.append(f"{module} takes {name} of {imported}, which is private to its room")
        one_wing = here in level and there in level and here.split(".")[0] == there.split(".")[0]
        if one_wing and level[there] >= level[here]:
            said.append(f"{module} imports {imported}: {there} comes after {here}")
    return said


def circles(lib: Path) -> list[str]:
    """Modules that import each other when they are loaded, directly or around a corner."""
    graph = {}
    for module, imported, _ in imports(lib, when_loaded=True):
        graph.setdefault(module, set()).add(imported)
    found = []
    for start in graph:
        seen, waiting = set(), list(graph[start])
        while waiting:
            each = waiting.pop()
            if each == start:
                found.append(start)
                break
            if each not in seen:
                seen.add(each)
                waiting += graph.get(each, ())
    return sorted(found)


def _dotted(path: Path, lib: Path) -> str:
    parts = path.relative_to(lib).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_module_has_a_room():
    modules = [_dotted(path, LIB) for path in LIB.rglob("*.py")]
    assert [module for module in modules if room(module) in ORDER and not module.endswith("__main__")] == list(ORDER)


def test_imports_run_one_way():
    assert breaches(LIB) == []


def test_no_module_imports_itself_around_a_corner():
    assert circles(LIB) == []


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("flipbook/goals/a.py", "from companion import paths", "knows nothing of the companion"),
        ("flipbook/core/a.py", "def f():\n    from flipbook.solvers import b", "flipbook.solvers comes after"),
        ("flipbook/solvers/a.py", "from flipbook import metrics", "flipbook.metrics comes after flipbook.solvers"),
        ("flipbook/attacks/engines/a.py", "import flipbook.attacks.jma", "flipbook.attacks comes after"),
        ("flipbook/attacks/a.py", "from flipbook.core.b import _c", "takes _c of flipbook.core.b, which is private"),
        ("companion/report/a.py", "from ..papers import b", "companion.papers comes after companion.report"),
        ("companion/runner/a.py", "from companion.report import b\nfrom flipbook.storage import c", ""),
    ],
)
def test_a_breach_is_told(tmp_path, module, code, said):
    for name in ("core/b.py", "solvers/b.py", "metrics/__init__.py", "attacks/jma.py", "storage/c.py"):
        path = tmp_path / "flipbook" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    path = tmp_path / module
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    found = breaches(tmp_path)
    assert len(found) == bool(said)
    assert all(said in line for line in found)


def test_a_circle_is_told(tmp_path):
    (tmp_path / "flipbook").mkdir()
    for name, other in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        (tmp_path / "flipbook" / f"{name}.py").write_text(f"from flipbook import {other}\n")
    assert circles(tmp_path) == ["flipbook.a", "flipbook.b", "flipbook.c"]
