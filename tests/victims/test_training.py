"""Training end to end, in small, and the table that it writes."""

import signal
from unittest.mock import Mock

import pandas as pd
import pytest
import torch

from companion import victims
from companion.victims import losses, table
from companion.victims.training import rounded

FEW = {"epochs": 2, "images": 128, "progress": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a backbone and a head, trained for two epochs on a few images, and the digits' history."""
    folder = tmp_path_factory.mktemp("victims")
    state = torch.get_rng_state()
    history = victims.train("digits-ecoc", folder=folder, **FEW)
    assert torch.equal(torch.get_rng_state(), state)
    return folder, history


def test_history_is_returned_and_stored(trained):
    folder, history = trained
    assert history.columns.tolist() == ["epoch", "train_loss", "validation", "seconds"]
    assert history.epoch.tolist() == [1, 2]
    assert history.train_loss.iloc[1] < history.train_loss.iloc[0]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history" / "digits-ecoc.csv"), history)


def test_record_and_weights_are_stored_and_load(trained):
    folder, _ = trained
    victim = victims.describe("digits-ecoc", folder)
    assert victim.codebook == "hadamard 16"
    assert victim.parameters == sum(p.numel() for p in victims.load("digits-ecoc", folder=folder).parameters())
    assert not list(folder.rglob("*.[0-9]*"))  # no temporary file is left


def test_same_seed_gives_the_same_weights(trained, tmp_path):
    folder, _ = trained
    victims.train("digits-ecoc", folder=tmp_path, **FEW)
    assert victims.describe("digits-ecoc", tmp_path).sha256 == victims.describe("digits-ecoc", folder).sha256


def test_head_without_its_backbone_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="'pictograms268-resnet' has not been trained yet"):
        victims.train("pictograms20-mlp", folder=tmp_path, **FEW)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"images": 2.5}, {"device": "gpu"}])
def test_bad_arguments_are_refused_before_any_work(wrong, tmp_path):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        victims.train("digits-ecoc", folder=tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_stops_the_training_and_leaves_the_earlier_victim(trained, monkeypatch):
    folder, _ = trained
    before = (folder / table.TABLE).read_bytes()
    monkeypatch.setattr(losses, "hinge", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt, match="training was stopped"):
        victims.train("digits-ecoc", folder=folder, **FEW)
    assert (folder / table.TABLE).read_bytes() == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_failing_write_leaves_the_earlier_victim(trained, monkeypatch):
    folder, _ = trained
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("pathlib.Path.write_bytes", Mock(side_effect=OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        victims.train("digits-ecoc", folder=folder, **FEW)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_rounding_spares_the_vectors():
    state = rounded({"kernel": torch.rand(2, 3), "bias": torch.rand(3)})
    assert [value.dtype for value in state.values()] == [torch.float16, torch.float32]
