"""Weights of the reader's own become victims that notebooks find by name."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import one_hot

from companion import victims
from companion.papers.jma import experiments as jma
from companion.victims import paper, table
from tests.datasets import layouts


class ReadsColours(nn.Module):
    """Knows the labels of `layouts.voc2012` from the colour that an image has."""

    def __init__(self, outputs):
        super().__init__()
        self.sharpness = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        red = x[:, 0].mean((1, 2)) * paper.IMAGENET["std"][0] + paper.IMAGENET["mean"][0]
        i = (red * 51).round().long()
        return self.sharpness * (one_hot(i % 20, 20) + one_hot((i + 1) % 20, 20) - 0.5)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of such a network in the place of Inception-v3's, and VOC 2012 to measure it on."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setitem(paper.ARCHITECTURES, "inception-v3", ReadsColours)
    layouts.voc2012(tmp_path / "data")
    file = tmp_path / "mine.safetensors"
    save_file({"sharpness": torch.ones(1) * 4, "AuxLogits.fc.bias": torch.zeros(20)}, file)
    return file


def test_the_paper_profile_finds_what_was_listed(weights):
    with pytest.raises(FileNotFoundError, match=r"needs weights of yours.*register\('voc2012-inception-v3'"):
        victims.load("voc2012-inception-v3")
    listed = victims.register("voc2012-inception-v3", weights)
    assert (listed.quality, listed.metric, listed.outputs) == (1.0, "mAP", 20)
    assert victims.describe("voc2012-inception-v3") == listed
    (setting,) = jma.settings("table-07", "paper")
    setup = jma.setup(setting, 3)
    assert setup.data.caption == "VOC 2012, test images"
    assert setup.chosen.images.shape == (3, 3, 299, 299)
    assert ((setup.chosen.predicted.bool() != setup.goal.target).sum(dim=1) == 5).all()


def test_listing_again_replaces_and_keeps_the_others(weights, tmp_path):
    victims.register("voc2012-inception-v3", weights)
    victims.register("another", weights, dataset="voc2012-224", architecture="inception-v3")
    save_file({"sharpness": torch.zeros(1)}, weights)
    worse = victims.register("voc2012-inception-v3", weights)
    assert worse.quality < 1
    assert set(table.read(paper.folder())) == {"voc2012-inception-v3", "another"}
    assert not victims.load("voc2012-inception-v3")(torch.rand(2, 3, 299, 299)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "pictograms20-resnet"}, "is one of ours: choose another name"),
        ({"name": "mine"}, "dataset and architecture of 'mine' are not known: give both, or one of the names"),
        ({"state": {"sharpness": torch.ones(2)}}, "mine.safetensors does not fit inception-v3 with 20 outputs"),
        ({"content": b"not weights"}, "mine.safetensors holds no tensors that can be read safely"),
        ({"content": b"not weights", "file": "mine.pt"}, "mine.pt holds no tensors that can be read safely"),
    ],
)
def test_what_cannot_be_listed_leaves_no_trace(weights, change, message):
    file = weights.with_name(change.get("file", weights.name))
    if "state" in change:
        save_file(change["state"], file)
    elif "content" in change:
        file.write_bytes(change["content"])
    with pytest.raises(ValueError, match=message) as refusal:
        victims.register(change.get("name", "voc2012-inception-v3"), file)
    assert "\n" not in str(refusal.value)
    assert not paper.folder().exists()


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "", ".hidden", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(weights, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"name of a victim is .* must be a plain name") as refusal:
        victims.register(name, weights, dataset="voc2012", architecture="inception-v3")
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_listed_file_that_lies_elsewhere_is_refused(weights):
    victims.register("voc2012-inception-v3", weights)
    path = paper.folder() / table.TABLE
    path.write_text(path.read_text().replace("voc2012-inception-v3.safetensors", "../mine.safetensors"))
    with pytest.raises(ValueError, match=r"file of 'voc2012-inception-v3' in victims.csv is '../mine.safetensors'"):
        victims.load("voc2012-inception-v3")


def test_a_table_with_a_byte_order_mark_is_read(weights):
    victims.register("voc2012-inception-v3", weights)
    path = paper.folder() / table.TABLE
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert set(paper.listed()) == {"voc2012-inception-v3"}
    path.write_bytes("Größe".encode("latin-1"))
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        paper.listed()


GOOD, OTHER = {"sharpness": torch.ones(1) * 4}, {"sharpness": torch.ones(1) * 3}


@pytest.mark.parametrize(
    "content",
    [
        {"module.sharpness": GOOD["sharpness"]},
        {"model.sharpness": GOOD["sharpness"], "loss.weight": torch.ones(2)},
        {"module._orig_mod.sharpness": GOOD["sharpness"]},
        {"state_dict": GOOD, "epoch": 3},
        {"state_dict": {"model.sharpness": GOOD["sharpness"]}, "optimizer": {"state": {}}},
        {"model": GOOD, "optimizer": OTHER},
        {"ema": GOOD, "model": OTHER},
        {"ema": {"decay": 0.99, "module": {"module.sharpness": GOOD["sharpness"]}}, "state_dict": OTHER},
        {"ema": {"decay": torch.ones(1)}, "model": GOOD},
    ],
)
def test_checkpoints_and_prefixes(weights, content):
    file = weights.with_suffix(".pt")
    torch.save(content, file)
    victims.register("voc2012-inception-v3", file)
    assert victims.load("voc2012-inception-v3")[1].sharpness == 4


def test_weights_of_another_network_are_refused_in_a_short_line(weights, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("DATA_ROOT", str(weights.parent / "data"))
    torch.save(
        {"state_dict": {f"layer{i}.weight": torch.ones(1) for i in range(300)}}, file := weights.with_suffix(".pt")
    )
    with pytest.raises(
        ValueError,
        match=r"mine.pt does not fit resnet-50 with 20 outputs: 320 tensors missing "
        r"\(conv1.weight, bn1.weight, ...\); 300 tensors unknown",
    ) as refusal:
        victims.register("voc2012-resnet-50", file)
    assert len(str(refusal.value)) < 250


def test_weights_of_an_unknown_kind_are_refused(weights):
    other = weights.rename(weights.with_suffix(".onnx"))
    with pytest.raises(ValueError, match=r"must be a file that ends in .safetensors, .pt, .pth"):
        victims.register("voc2012-inception-v3", other)
