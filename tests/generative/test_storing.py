"""Files of generators: back as they were, refused when damaged or of other kinds."""

import pytest
import torch
from safetensors.torch import save_file

from flipbook.generative import load, save, train_lpd
from flipbook.storage import fingerprint
from tests.generative.small import images, short, victim


@pytest.fixture(scope="module")
def trained():
    return train_lpd(victim(), images(), short(epochs=1))


def test_round_trip(trained, tmp_path):
    save(trained, tmp_path / "a" / "g.safetensors")
    back = load(tmp_path / "a" / "g.safetensors")
    assert torch.equal(back.perturb(images()), trained.perturb(images()))
    assert (back.method, back.epsilon, back.record) == (trained.method, trained.epsilon, trained.record)
    assert fingerprint.digest(back) == fingerprint.digest(trained)
    assert not back.network.training
    assert not any(p.requires_grad for p in back.network.parameters())


def test_damage(trained, tmp_path):
    path = tmp_path / "g.safetensors"
    save(trained, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1
    for damaged in (whole[:-8], whole[:20], b"", bytes(flipped), b"x" + whole):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            load(path)


def test_files_of_others(tmp_path):
    path = tmp_path / "g.safetensors"
    with pytest.raises(FileNotFoundError, match="train the generator and save it there first"):
        load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="no generator of this library"):
        load(path)
    with pytest.raises(ValueError, match="generator is a Tensor"):
        save(torch.zeros(2), path)
