"""The papers' architectures with random weights, and victims that the reader lists."""

import hashlib

import pytest
import torch
from safetensors.torch import save

from companion import victims
from companion.victims import paper, table


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Return a function that lists one ResNet-50 with 3 outputs under DATA_ROOT; changes go to its row."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path))
    folder = tmp_path / "victims"
    folder.mkdir()

    def make(content: bytes, file: str, **changes):
        row = dict.fromkeys(table.COLUMNS, "") | {"name": "mine", "file": file, "architecture": "resnet-50"}
        row |= {"outputs": 3, "quality": 0.9, "parameters": 1, "train_seconds": 0, "metric": "mAP"}
        row |= {"sha256": hashlib.sha256(content).hexdigest()} | changes
        (folder / file).write_bytes(content)
        text = ",".join(table.COLUMNS) + "\n" + ",".join(str(row[column]) for column in table.COLUMNS) + "\n"
        (folder / table.TABLE).write_text(text)

    return make


@pytest.mark.parametrize("name", paper.ARCHITECTURES)
def test_networks_give_logits_at_the_papers_size(name):
    side = {"inception-v3": 299, "vgg16-ecoc": 64}.get(name, 224)
    with torch.device("meta"):  # shapes without numbers: nothing this large is computed
        net = victims.build(name, 7)
        assert not net.training
        assert net(torch.rand(2, 3, side, side)).shape == (2, 7)


def test_imagenet_normalisation_is_inside():
    net = victims.build("resnet-50", 5)
    images = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(paper.IMAGENET[key])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(net(images), net[1]((images - mean) / std))


def test_vgg16_ensemble_has_a_branch_per_bit():
    net = paper.Vgg16Ensemble(3, dense=8).eval()
    images = torch.rand(2, 3, 32, 32)
    before = net(images)
    assert before.shape == (2, 3)
    for parameter in net.branches[1].parameters():
        parameter.data += 0.1
    assert (net(images) != before).any(0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("arguments", "word"), [(("resnet50", 3), "inception-v3, resnet-50"), (("resnet-50", 0), "outputs")]
)
def test_impossible_networks_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        victims.build(*arguments)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_readers_own_victim_loads(listed, tmp_path, suffix):
    net = victims.build("resnet-50", 3)
    if suffix == "pt":
        torch.save(net[1].state_dict(), tmp_path / "w.pt")
        content = (tmp_path / "w.pt").read_bytes()
    else:
        content = save(net[1].state_dict())
    listed(content, f"mine.{suffix}", codebook="hadamard 4 3")
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    assert "mine" in victims.names()
    assert victims.codebook("mine").shape == (3, 4)
    torch.testing.assert_close(victims.load("mine").double()(images), net.double()(images))


def test_weights_of_another_width_are_refused(listed):
    listed(save(victims.build("resnet-50", 4)[1].state_dict()), "mine.safetensors")
    with pytest.raises(ValueError, match=r"mine.safetensors does not fit resnet-50 with 3 outputs"):
        victims.load("mine")


def test_wrong_hash_of_readers_file_is_refused(listed):
    listed(b"nothing", "mine.pt", sha256="0" * 64)
    with pytest.raises(ValueError, match=r"sha256.*put it there, or correct victims.csv"):
        victims.load("mine")


def test_wrong_codebook_is_refused(listed):
    listed(b"nothing", "mine.pt", codebook="hadamard")
    with pytest.raises(ValueError, match="hadamard 16 10"):
        victims.codebook("mine")
