"""Images and clean logits for many notebooks: drawn and computed once, the same as when they are made anew."""

import pytest
import torch

from companion import datasets
from companion.papers import pools
from flipbook.storage import places


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "store", lambda: tmp_path)
    pools.first_images.cache_clear()
    yield tmp_path
    pools.first_images.cache_clear()


def linear(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 6)).eval()


def test_first_images_are_those_of_the_data_set_and_are_drawn_once(monkeypatch):
    images = pools.first_images("pictograms20", "test", 5)
    assert torch.equal(images, datasets.stack(datasets.load("pictograms20", "test"), range(5))[0])
    pools.first_images.cache_clear()
    monkeypatch.setattr(datasets, "tensors", None)  # calling it would fail
    assert torch.equal(pools.first_images("pictograms20", "test", 5), images)


def test_other_splits_and_counts_are_other_files(store):
    for split, count in (("test", 3), ("test", 4), ("train", 3)):
        assert len(pools.first_images("pictograms20", split, count)) == count
    assert len(list((store / "images").glob("*.safetensors"))) == 3


def test_a_split_may_hold_fewer(monkeypatch):
    whole = datasets.load("digits", "validation")
    assert len(pools.first_images("digits", "validation", 10**6)) == len(whole)


def test_clean_logits_are_computed_once(monkeypatch):
    model, images = linear(0), torch.rand(300, 1, 4, 4)
    logits = pools.clean_logits(model, images)
    torch.testing.assert_close(logits, model(images).detach())
    assert not logits.requires_grad
    monkeypatch.setattr(torch.nn.Linear, "forward", None)  # calling it would fail
    assert torch.equal(pools.clean_logits(model, images), logits)


def test_another_model_and_other_images_have_their_own_logits(store):
    images = torch.rand(2, 1, 4, 4)
    for model in (linear(1), linear(2)):
        for asked in (images, 1 - images):
            torch.testing.assert_close(pools.clean_logits(model, asked), model(asked).detach())
    assert len(list((store / "logits").glob("*.safetensors"))) == 4
