import functools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from flipbook.goals import ClassTarget, LabelVector
from flipbook.storage import fingerprint, package_code


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of four modules: attack imports core, core imports deep, other stands alone."""
    root = tmp_path / "flipbook"
    (root / "parts").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "attack.py": '"""Doc."""\nfrom flipbook.parts import core\n\n\ndef attack():\n    return core.value()\n',
        "parts/__init__.py": "",
        "parts/core.py": "from .deep import number\n\n\ndef value():\n    return number\n",
        "parts/deep.py": "number = 3\n",
        "other.py": "import flipbook.attack\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    monkeypatch.setattr(package_code, "PACKAGES", {"flipbook": root})
    return root


def edit(path, before, after):
    path.write_text(path.read_text().replace(before, after))
    package_code._code_of.cache_clear()


def test_imports_are_followed(package):
    modules = ["flipbook.attack", "flipbook.parts.core", "flipbook.parts.deep"]
    assert fingerprint.with_imports(["flipbook.attack"]) == modules
    assert fingerprint.with_imports(["flipbook.other"]) == sorted([*modules, "flipbook.other"])


def test_only_code_that_matters_changes_the_digest(package):
    before = fingerprint.of_code(["flipbook.attack"])
    edit(package / "attack.py", '"""Doc."""', '"""Another docstring."""\n# and a comment')
    edit(package / "attack.py", "core.value()", "(\n        core.value()\n    )")
    edit(package / "other.py", "import flipbook.attack", "import flipbook.attack\n\nchanged = True")
    assert fingerprint.of_code(["flipbook.attack"]) == before
    edit(package / "parts" / "deep.py", "3", "4")
    assert fingerprint.of_code(["flipbook.attack"]) != before


def test_an_attack_counts_with_what_it_imports_and_not_with_other_attacks():
    from flipbook.attacks.jma import jma

    modules = fingerprint.with_imports([jma.__module__])
    assert {
        "flipbook.attacks.jma",
        "flipbook.goals",
        "flipbook.core.pass_counter",
        "flipbook.core.attack_result",
    } <= set(modules)
    assert "flipbook.attacks" not in modules
    assert "flipbook.evaluation.experiment" not in modules


def test_tensors_count_by_value_shape_and_type():
    one = torch.tensor([[1.0, 2.0]])
    assert fingerprint.digest(one) == fingerprint.digest(one.clone()) == fingerprint.digest(one.numpy())
    others = [one.T, one.double(), one + 1e-7, one[:, :0], torch.tensor(1.0)]
    assert len({fingerprint.digest(tensor) for tensor in [one, *others]}) == 6
    assert fingerprint.digest(one.expand(3, 2)[:1]) == fingerprint.digest(one)


def test_goals_count_by_kind_and_content():
    target = torch.tensor([0, 1])
    goals = [
        ClassTarget(target),
        ClassTarget(target, torch.tensor([[1.0, 1.0], [1.0, -1.0]])),
        ClassTarget(1 - target),
        LabelVector(torch.eye(2)),
    ]
    assert len({fingerprint.digest(goal) for goal in goals}) == 4
    assert fingerprint.digest(goals[3][:1]) == fingerprint.digest(LabelVector(torch.tensor([[1, 0]])))


def test_models_count_by_structure_and_weights():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = fingerprint.of_model(model)
    assert fingerprint.of_model(nn.Sequential(model[0], nn.Tanh())) != before
    model[0].bias.data += 1e-6
    assert fingerprint.of_model(model) != before


def plain(model, images, goal, step=1):
    return step


def test_functions_from_outside_count_with_source_arguments_and_what_they_captured():
    def capturing(number):
        def attack():
            return number

        return attack

    assert fingerprint.of_function(capturing(1)) != fingerprint.of_function(capturing(2))
    partials = [functools.partial(plain, step=step) for step in (1, 2, 1)]
    first, second, third = map(fingerprint.of_function, partials)
    assert first == third != second


def test_what_has_no_digest_is_refused(tmp_path):
    @dataclass
    class Fine:
        x: int

    with (tmp_path / "log").open("w") as log:
        handle = log
        with pytest.raises(ValueError, match=r"whose content has no digest; pass numbers.*store=False"):
            fingerprint.canonical({"a": [Fine(1), None, np.float64(2), {1, 2}, log]})
        with pytest.raises(ValueError, match=r"captured handle of .*: .*TextIOWrapper.* or run with store=False"):
            fingerprint.of_function(lambda: handle)
