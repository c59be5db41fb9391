"""Tensors in a file with their description: the round trip, and what is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from flipbook.storage import tensor_file


def test_round_trip_keeps_values_types_and_the_description(tmp_path):
    tensors = {"v": torch.randn(2, 3, dtype=torch.float64).T, "labels": torch.tensor([1, 2])}
    tensor_file.write(tmp_path / "a", "thing", tensors, {"names": ["Ω"]})
    read, about = tensor_file.read(tmp_path / "a", "thing")
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype for name in tensors)
    assert about["names"] == ["Ω"]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="train the thing"):
        tensor_file.read(tmp_path / "a", "thing")


def test_another_kind_of_file(tmp_path):
    tensor_file.write(tmp_path / "a", "thing", {"v": torch.ones(2)}, {})
    with pytest.raises(ValueError, match="is no other of this library"):
        tensor_file.read(tmp_path / "a", "other")
    save_file({"v": torch.ones(2)}, tmp_path / "b")
    with pytest.raises(ValueError, match="is no thing of this library"):
        tensor_file.read(tmp_path / "b", "thing")


@pytest.mark.parametrize("place", [0, -1])
def test_one_changed_byte_is_noticed(tmp_path, place):
    tensor_file.write(tmp_path / "a", "thing", {"v": torch.ones(2)}, {})
    content = bytearray((tmp_path / "a").read_bytes())
    content[place] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        tensor_file.read(tmp_path / "a", "thing")


@pytest.mark.parametrize("change", [{"labels": [3, 2, 1, 0]}, {"epsilon": 0.9}, {"more": 1}])
def test_an_edited_description_is_noticed(tmp_path, change):
    path = tmp_path / "a"
    about = {"labels": [0, 1, 2, 3], "epsilon": 0.1}
    tensor_file.write(path, "thing", {"v": torch.ones(2)}, about)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file({"v": torch.ones(2)}, path, header | {"flipbook thing": json.dumps(about)})
    assert tensor_file.read(path, "thing")[1] == about
    save_file({"v": torch.ones(2)}, path, header | {"flipbook thing": json.dumps(about | change)})
    with pytest.raises(ValueError, match="is damaged"):
        tensor_file.read(path, "thing")


def test_an_older_file_without_a_digest_of_its_description(tmp_path):
    save_file({"v": torch.ones(2)}, tmp_path / "a", {"flipbook thing": json.dumps({"digest": "0"})})
    with pytest.raises(ValueError, match="is damaged"):
        tensor_file.read(tmp_path / "a", "thing")
