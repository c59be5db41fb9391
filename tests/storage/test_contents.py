"""What a reader changes in a cell or in a file beside the notebook changes the digest; nothing else does."""

import importlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from flipbook.attacks.jma import jma
from flipbook.storage import fingerprint

CELL = """
import functools, re
from dataclasses import dataclass, field
import torch
from torch import nn
import torch.nn.functional as F
from flipbook.attacks.jma import jma
from flipbook.goals import LabelVector

STEP = 0.1
LABELS = {"cat", "dog", "horse"}
TABLE = {1: [torch.ones(2), None], (2, "b"): b"raw"}
CALLS = []
COUNT = {"calls": 0}

def deepest(x):
    return x + STEP

def helper(x):
    return helper(0) if x is None else deepest(x)

class Base:
    scale = 1.0
    def scaled(self, x):
        return x * self.scale

class Settings(Base):
    def __init__(self, rate=0.5):
        self.rate = rate
        self.calls = 0
    def __call__(self, model, images, goal):
        self.calls += 1
        return self.scaled(images) * self.rate
    def method(self, model, images, goal):
        return self.rate
    @property
    def half(self):
        return self.rate / 2

@dataclass
class Options:
    rate: float = 0.25
    names: list = field(default_factory=lambda: ["a"])
    def twice(self):
        return 2 * self.rate

SETTINGS, OPTIONS = Settings(), Options()

class Makers:
    pattern = re.compile("a+")
    @classmethod
    def one(cls):
        return cls.two(1)
    @staticmethod
    def two(x):
        return x + 1

def made(number):
    def inner(model, images, goal):
        return number
    return inner

def log(function):
    @functools.wraps(function)
    def logged(*args, **kwargs):
        return function(*args, **kwargs)
    return logged

@functools.lru_cache
def cached(x):
    return 2 * x

def attack(model, images, goal, step=1, *, seen=[], order="up"):
    CALLS.append(len(images))
    COUNT["calls"] += 1
    seen.append(1)
    parts = [helper(x) for x in images]
    return LABELS, TABLE, SETTINGS.half, OPTIONS.twice(), cached(step), F.relu(images), Makers.one()

@torch.no_grad()
def without_gradient(model, images, goal):
    return helper(images)

captured = made(1)
decorated = log(jma)
partial = functools.partial(attack, step=3)
method = SETTINGS.method

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.scale = 2.0
        self.act = torch.relu
        self.parts = [nn.Linear(2, 2, bias=False)]
        self.register_buffer("shift", torch.zeros(3), persistent=False)
        self.calls = 0
        with torch.no_grad():
            for p in [*self.parameters(), *self.parts[0].parameters()]:
                p.fill_(0.5)
    def forward(self, x):
        self.calls += 1
        self.last = x
        return self.scale * self.act(self.layer(x.flatten(1))) + self.shift

model = nn.Sequential(Net(), nn.ReLU()).eval()

def as_function(x):
    return model(x) - STEP
"""


def cell(text=CELL):
    """What a notebook's cell leaves behind; there is no source to look up."""
    names = {"__name__": "__main__"}
    exec(compile(text, "<cell>", "exec"), names)
    return names


def changed(name, before, after):
    assert before in CELL
    return fingerprint.digest(cell()[name]) != fingerprint.digest(cell(CELL.replace(before, after))[name])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("STEP = 0.1", "STEP = 0.2"),
        ("x + STEP", "x - STEP"),
        ("helper(0) if x is None", "helper(0) if x is not None"),
        ('"dog", ', ""),
        ("torch.ones(2)", "torch.zeros(2)"),
        ('b"raw"', 'b"ram"'),
        ("self.rate / 2", "self.rate / 3"),
        ("scale = 1.0", "scale = 1.5"),
        ("x * self.scale", "x / self.scale"),
        ("rate=0.5", "rate=0.6"),
        ("rate: float = 0.25", "rate: float = 0.5"),
        ("2 * self.rate", "3 * self.rate"),
        ('["a"]', '["b"]'),
        ("return 2 * x", "return 3 * x"),
        ("cls.two(1)", "cls.two(2)"),
        ("return x + 1", "return x + 2"),
        ('"a+"', '"a*"'),
        ("step=1", "step=2"),
        ('order="up"', 'order="down"'),
        ("F.relu(images)", "F.gelu(images)"),
        ("for x in images]", "for x in images[1:]]"),
    ],
)
def test_all_that_an_attack_refers_to_counts(before, after):
    assert changed("attack", before, after)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("captured", "made(1)", "made(2)"),
        ("captured", "return number", "return -number"),
        ("decorated", "return function(*args", "return not function(*args"),
        ("partial", "step=3", "step=4"),
        ("partial", "STEP = 0.1", "STEP = 0.2"),
        ("method", "        return self.rate\n", "        return -self.rate\n"),
        ("method", "rate=0.5", "rate=0.6"),
        ("SETTINGS", "* self.rate", "+ self.rate"),
        ("SETTINGS", "x * self.scale", "x / self.scale"),
        ("without_gradient", "x + STEP", "x - STEP"),
        ("Net", "+ self.shift", "- self.shift"),
        ("as_function", "- STEP", "+ STEP"),
        ("as_function", "self.scale = 2.0", "self.scale = 3.0"),
        ("as_function", "p.fill_(0.5)", "p.fill_(0.6)"),
        ("model", "+ self.shift", "- self.shift"),
        ("model", "self.scale = 2.0", "self.scale = 3.0"),
        ("model", "torch.relu", "torch.sigmoid"),
        ("model", "torch.zeros(3)", "torch.ones(3)"),
        ("model", "nn.Linear(2, 2, bias=False)", "nn.Linear(2, 3, bias=False)"),
        ("model", "nn.ReLU()", "nn.Tanh()"),
        ("model", "p.fill_(0.5)", "p.fill_(0.6)"),
        ("model", ".eval()", ".train()"),
    ],
)
def test_closures_decorators_objects_classes_and_models_count(name, before, after):
    assert changed(name, before, after)


@pytest.mark.parametrize("name", ["attack", "captured", "decorated", "partial", "method", "SETTINGS", "model", "Net"])
def test_comments_line_numbers_and_what_nobody_refers_to_do_not_count(name):
    text = "# a comment\n\nunused = 3\n" + CELL.replace("    return 2 * x", "    # twice\n\n    return 2 * x")
    assert fingerprint.digest(cell()[name]) == fingerprint.digest(cell(text)[name])


def test_what_a_function_notes_down_does_not_count():
    names = cell()
    before = [fingerprint.digest(names[name]) for name in ("attack", "SETTINGS", "model", "as_function")]
    names["attack"](None, torch.ones(2, 4), None)
    names["SETTINGS"](None, torch.ones(2, 4), None)
    names["as_function"](torch.ones(2, 4))
    assert names["CALLS"] == [2]
    assert names["SETTINGS"].calls == names["model"][0].calls == 1
    assert before == [fingerprint.digest(names[name]) for name in ("attack", "SETTINGS", "model", "as_function")]


def test_values_changed_after_the_cell_ran_count():
    for change in (
        lambda names: names.update(STEP=0.2),
        lambda names: names.update(helper=lambda x: x),
        lambda names: names["TABLE"].update({1: 2}),
        lambda names: setattr(names["OPTIONS"], "rate", 1.0),
        lambda names: setattr(names["SETTINGS"], "rate", 1.0),
        lambda names: setattr(names["Base"], "scale", 3.0),
        lambda names: setattr(names["Options"], "twice", lambda self: 0),
    ):
        names = cell()
        before = fingerprint.of_function(names["attack"])
        change(names)
        assert fingerprint.of_function(names["attack"]) != before


def patched(self, x):
    return -x


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model[0], "forward", patched.__get__(model[0])),
        lambda model: setattr(model[1], "forward", lambda x: -x),
        lambda model: setattr(type(model[0]), "forward", patched),
        lambda model: model.register_forward_hook(lambda module, given, out: out + 1),
        lambda model: model[1].register_forward_pre_hook(lambda module, given: given),
        lambda model: setattr(model[0].parts[0].weight, "data", torch.ones(2, 2)),
        lambda model: model[0].shift.add_(1),
        lambda model: setattr(model[0], "scale", 5),
        lambda model: setattr(model[0], "extra", {"a": [torch.ones(1)]}),
        lambda model: setattr(model[1], "inplace", True),
    ],
)
def test_whatever_is_done_to_a_model_counts(change):
    model = cell()["model"]
    before = fingerprint.of_model(model)
    change(model)
    assert fingerprint.of_model(model) != before


def test_a_method_put_into_an_installed_class_counts(monkeypatch):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = fingerprint.of_model(model)
    monkeypatch.setattr(nn.ReLU, "forward", patched)
    assert fingerprint.of_model(model) != before


def test_attributes_of_a_model_without_a_digest_are_left_out(tmp_path):
    model = cell()["model"]
    with (tmp_path / "log").open("w") as model[0].log, (tmp_path / "b").open("w") as other:
        before = fingerprint.of_model(model)
        model[0].log = other
        assert fingerprint.of_model(model) == before


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_models_out_of_compilers_count_with_their_code_and_weights():
    for compiled in (torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(1, 4)), torch.fx.symbolic_trace):
        digests = []
        for layer, value in [(nn.ReLU, 0.5), (nn.ReLU, 0.5), (nn.Tanh, 0.5), (nn.ReLU, 0.6)]:
            model = nn.Sequential(nn.Linear(4, 2), layer()).eval()
            for p in model.parameters():
                p.data.fill_(value)
            digests.append(fingerprint.of_model(compiled(model)))
        assert digests[0] == digests[1]
        assert len(set(digests)) == 3


def test_functions_in_the_readers_modules_count(tmp_path, monkeypatch):
    (tmp_path / "reader_deep.py").write_text("RATE = 1\n\ndef deep():\n    return RATE\n")
    (tmp_path / "reader_help.py").write_text("import reader_deep\n\ndef help():\n    return reader_deep.deep()\n")
    monkeypatch.syspath_prepend(tmp_path)
    uses = {
        "import reader_help\ndef f():\n    return reader_help.help()": [],
        "from reader_help import help\ndef f():\n    return help()": [],
        "def f():\n    import reader_help\n    return reader_help.help()": [],
        "def f():\n    from reader_help import help\n    return help()": [],
    }
    texts = ["RATE = 1\n\ndef deep():\n    return RATE\n", "RATE = 2\n\ndef deep():\n    return RATE\n"]
    texts += ["RATE = 1\n\ndef deep():\n    return -RATE\n", texts[0] + "# a comment\n"]
    for text in texts:
        (tmp_path / "reader_deep.py").write_text(text)
        for name in ("reader_deep", "reader_help"):
            sys.modules.pop(name, None)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        importlib.invalidate_caches()
        for use, digests in uses.items():
            digests.append(fingerprint.of_function(cell(use)["f"]))
    for digests in uses.values():
        assert digests[0] == digests[3]
        assert len(set(digests)) == 3


def test_a_wrapper_of_a_packages_attack_is_not_taken_for_it():
    names = cell()
    assert names["decorated"].__module__ == jma.__module__
    assert fingerprint.of_function(names["decorated"]) != fingerprint.of_function(jma)


def test_two_processes_agree():
    program = textwrap.dedent(
        """
        from tests.storage.test_contents import cell, fingerprint
        names = cell()
        print(*(fingerprint.digest(names[n]) for n in ("attack", "decorated", "method", "without_gradient", "model")))
        """
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in "12"
    ]  # fmt: skip
    assert found[0] == found[1]


def test_what_contains_itself_has_a_digest():
    circle = [1]
    circle.append(circle)
    node = type("Node", (), {})()
    node.self = node
    assert fingerprint.digest(circle) != fingerprint.digest([1])
    assert len(fingerprint.digest(node)) == 64
