"""README's example that needs nothing from its reader runs as it stands."""

import re

from companion import paths


def test_the_example_of_a_knowledge_graph():
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "consistency.h(" in block]
    names = {}
    exec(code, names)
    graph, Ψ, Ω = (names[name] for name in ("graph", "Ψ", "Ω"))
    assert len(Ψ)
    assert ((Ω & ~Ψ).sum() == 0).item()
    assert {"smiley", "king", "chess", "game"} in [set(graph.names(row)) for row in Ψ]
    assert names["result"].reached.all()
