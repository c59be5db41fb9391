"""Files of all kinds: back as they were, refused when damaged or of another victim."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from flipbook.universal import Pool, cmlu_beta, load, nag, or_c, or_s, oracle, save
from tests.affine import SmallNet, mid_grey
from tests.universal.small import net_pool, short

SETS = [(0,), (0, 2), (2, 3)]


@pytest.fixture(scope="module")
def pool():
    return net_pool()


def trained(kind, pool):
    match kind:
        case "basis":
            return cmlu_beta(pool, [0, 2, 3], short())
        case "oracle":
            return oracle(pool, SETS, short())
        case "or_c":
            return or_c(or_s(pool, [0, 2, 3], short()), pool, SETS, short())
        case "nag":
            return nag(pool, [0, 2, 3], short(), width=8, noise=5)


@pytest.mark.parametrize("kind", ["basis", "oracle", "or_c", "nag"])
def test_round_trip(kind, pool, tmp_path):
    universal = trained(kind, pool)
    save(universal, tmp_path / "a" / "u.safetensors")
    back = load(tmp_path / "a" / "u.safetensors", pool)
    assert type(back) is type(universal)
    assert torch.equal(back.compose_all(SETS), universal.compose_all(SETS))
    assert (back.method, back.epsilon, back.names) == (universal.method, universal.epsilon, universal.names)
    assert back.record == universal.record
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["u.safetensors"]


def test_damage(pool, tmp_path):
    path = tmp_path / "u.safetensors"
    save(trained("basis", pool), path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1
    for damaged in (whole[:-8], whole[:20], b"", bytes(flipped), b"x" + whole):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="is damaged"):
            load(path)


def test_files_of_others(pool, tmp_path):
    path = tmp_path / "u.safetensors"
    with pytest.raises(FileNotFoundError, match="train the universal and save it there first"):
        load(path)
    save_file({"vectors": torch.zeros(2, 3, 4, 4)}, path)
    with pytest.raises(ValueError, match="no universal of this library"):
        load(path)


def test_vectors_beyond_the_ball(pool, tmp_path):
    basis = trained("basis", pool)
    basis.vectors[0, 0, 0, 0] = 0.0500001
    save(basis, tmp_path / "u.safetensors")
    with pytest.raises(ValueError, match=r"vectors beyond epsilon = 0\.05"):
        load(tmp_path / "u.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": (0, 2, 2)}, r"\(0, 2, 2\) names something twice"),
        ({"labels": (0, 2, 6)}, "label 6 is none of its 6 labels"),
        ({"labels": (0, 2, -1)}, "label -1 is none of its 6 labels"),
        ({"labels": (0, 2, "3")}, "label '3' is none of its 6 labels"),
        ({"names": ("a", "a", "b", "c", "d", "e")}, "names something twice"),
    ],
)
def test_labels_are_different_and_exist(pool, tmp_path, change, message):
    save(replace(trained("basis", pool), **change), tmp_path / "u.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path / "u.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("omegas", [((0,), (0, 2), (0, 2)), ((0,), (0, 0), (2, 3)), ((0,), (0, 2), (2, 9))])
def test_target_sets_are_different_and_exist(pool, tmp_path, omegas):
    save(replace(trained("oracle", pool), omegas=omegas), tmp_path / "u.safetensors")
    with pytest.raises(ValueError, match="lacks what a PerSet needs"):
        load(tmp_path / "u.safetensors")


def test_another_victim(pool, tmp_path):
    path = tmp_path / "u.safetensors"
    save(trained("basis", pool), path)
    for other, message in (
        (Pool(SmallNet(5), mid_grey(3)), "other labels than the pool's: 6 against 5"),
        (Pool(SmallNet(6), mid_grey(3), list("012354")), "label 4 is '4' there and '5' here"),
        (Pool(SmallNet(6), mid_grey(3, (3, 8, 8))), r"shape \(3, 6, 6\), the pool has \(3, 8, 8\)"),
    ):
        with pytest.raises(ValueError, match=message):
            load(path, other)


def test_only_what_methods_return():
    with pytest.raises(ValueError, match="give what a method returned"):
        save(torch.zeros(3), "u.safetensors")
