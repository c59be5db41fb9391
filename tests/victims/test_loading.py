"""Shipped victims: what the table says is what is there, and every way that a file can be wrong."""

import shutil

import pytest
import torch

from companion import datasets, paths, victims
from companion.datasets import real
from companion.victims import catalogue, table
from companion.victims.building import code
from companion.victims.quality import predict, quality

SHIPPED = sorted(table.read())


@pytest.fixture
def copied(tmp_path):
    """Return a folder with copies of two victims and the table."""
    for name in (table.TABLE, "digits-ecoc.safetensors", "pictograms20-mlp.safetensors"):
        shutil.copy(paths.VICTIMS / name, tmp_path)
    return tmp_path


def test_every_victim_is_shipped_and_they_are_small():
    # The official CIFAR-10 was not at hand when the others were trained.
    assert set(catalogue.names()) - {"cifar10-onehot"} == set(SHIPPED)
    assert set(victims.names()) >= set(SHIPPED)
    assert sum(file.stat().st_size for file in paths.VICTIMS.rglob("*")) < 17e6


@pytest.mark.parametrize("name", SHIPPED)
def test_record_agrees_with_recipe(name):
    victim, recipe = victims.describe(name), catalogue.recipe(name)
    assert (victim.outputs, victim.dataset, victim.metric) == (recipe.outputs, recipe.dataset, recipe.metric)
    assert 0.75 <= victim.quality <= 1
    book = victims.codebook(name)
    assert (book is None) == (victim.codebook == "")
    if recipe.dataset in datasets.names() and recipe.dataset not in real.FOLDERS:
        assert len(datasets.load(recipe.dataset, split="test").labels) == recipe.classes


@pytest.mark.parametrize("name", SHIPPED)
def test_loaded_victim_is_frozen_and_batch_invariant(name):
    net, recipe = victims.load(name), catalogue.recipe(name)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    torch.manual_seed(0)
    images = torch.rand(5, *recipe.shape)
    together = net(images)
    assert together.shape == (5, recipe.outputs)
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net(images.flip(0)).flip(0), together, atol=1e-4, rtol=1e-4)


def test_convolutions_on_a_cpu_have_their_channels_side_by_side():
    weights = [p for p in victims.load("pictograms20-resnet").parameters() if p.ndim == 4]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.parametrize("name", ["pictograms20-resnet", "pictograms20-mlp", "signs32-ecoc"])
def test_quality_is_what_the_table_says(name):
    recipe = catalogue.recipe(name)
    images, targets = datasets.tensors(datasets.load(recipe.dataset, split="test"), range(300), progress=False)
    found = quality(predict(victims.load(name), images), targets, code(recipe))
    assert found == pytest.approx(victims.describe(name).quality, abs=0.03)


@pytest.mark.parametrize("function", [victims.load, victims.describe, victims.codebook, victims.train])
def test_unknown_name_gets_the_nearest_right_one(function):
    with pytest.raises(KeyError, match="no victim is called 'pictogram20-resnet': did you mean 'pictograms20-resnet'"):
        function("pictogram20-resnet")


def test_missing_weights_say_how_to_make_them(copied):
    (copied / "digits-ecoc.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"weights of 'digits-ecoc'.*run_all.sh victims --force"):
        victims.load("digits-ecoc", folder=copied)


def test_changed_weights_are_refused(copied):
    file = copied / "digits-ecoc.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=r"has sha256 .* victims.csv says"):
        victims.load("digits-ecoc", folder=copied)


def test_victim_that_was_never_trained(tmp_path):
    with pytest.raises(FileNotFoundError, match="has not been trained yet"):
        victims.load("digits-ecoc", folder=tmp_path)


def test_damaged_table_is_refused(copied):
    lines = (copied / table.TABLE).read_text().splitlines()
    (copied / table.TABLE).write_text("\n".join([lines[0], lines[1].replace(",0.", ",none.")]))
    with pytest.raises(ValueError, match=r"the row of .* is damaged"):
        victims.describe("digits-ecoc", copied)
    (copied / table.TABLE).write_text("name,file\n")
    with pytest.raises(ValueError, match="has the columns"):
        victims.describe("digits-ecoc", copied)


def test_head_of_another_backbone_is_refused(copied):
    lines = (copied / table.TABLE).read_text().splitlines()
    sha256 = victims.describe(catalogue.BACKBONE).sha256
    changed = [line.replace(sha256, "0" * 64) if line.startswith(catalogue.BACKBONE) else line for line in lines]
    (copied / table.TABLE).write_text("\n".join(changed) + "\n")
    with pytest.raises(ValueError, match="was trained on another pictograms268-resnet"):
        victims.load("pictograms20-mlp", folder=copied)


def test_unusable_device_is_refused():
    with pytest.raises(ValueError, match="device is 'gpu', it must be one that torch finds here"):
        victims.load("digits-ecoc", device="gpu")
