"""FR and NT_R on predictions made by hand; transfer; projections."""

import math

import pytest
import torch

from flipbook.universal import Basis, PerSet, Pool, cmlu_beta, evaluate, evaluation, summarise
from tests.universal.small import Scripted, net_pool, short

CLEAN = torch.tensor([[1, 1, -1, -1], [1, 1, 1, -1], [1, -1, -1, -1], [-1, 1, 1, -1], [1, 1, -1, 1]])
ATTACKED = torch.tensor(
    [
        [-1, -1, -1, -1],  # both off, nothing else
        [-1, -1, -1, 1],  # both off, two others turned
        [-1, 1, 1, 1],  # has no label 1
        [1, -1, -1, -1],
        [-1, 1, 1, -1],  # label 1 stays
    ]
)


def scripted():
    images = (torch.arange(5, dtype=torch.float64) / 100).view(5, 1, 1, 1).expand(5, 3, 4, 4).clone()
    pool = Pool(Scripted(CLEAN, ATTACKED).eval(), images, list("abcd"))
    basis = Basis((0, 1, 2, 3), torch.full((4, 3, 4, 4), 0.5, dtype=torch.float64), 0.5, pool.names, "test")
    return pool, basis


def test_counts_by_hand():
    pool, basis = scripted()
    table = evaluate(basis, pool, [(0, 1), (0,), (1,), (3,), (2, 3)], progress=False, chunk=2)
    rows = {row.omega: row for row in table.itertuples()}
    assert (rows[0, 1].images, rows[0, 1].hidden, rows[0, 1].changed) == (3, 2, 2)
    assert pytest.approx(100 * 2 / 3) == rows[0, 1].FR
    assert pytest.approx(100 * 2 / (2 * 2)) == rows[0, 1].NT_R
    # {a}: images 0, 1, 2, 4 all hidden; others turned: b | b c d | b c d | c d
    assert (rows[0,].images, rows[0,].hidden, rows[0,].changed) == (4, 4, 1 + 3 + 3 + 2)
    assert pytest.approx(100 * 9 / 12) == rows[0,].NT_R
    # {b}: images 0, 1, 3 hidden, 4 not; others turned: a | a c d | a c
    assert (rows[1,].images, rows[1,].hidden, rows[1,].changed) == (4, 3, 6)
    assert rows[0, 1].labels == "a, b"


def test_no_images_and_no_success_are_nan():
    pool, basis = scripted()
    table = evaluate(basis, pool, [(2, 3), (2,)], progress=False)
    none = table.iloc[0]
    assert none.images == 0
    assert math.isnan(none.FR)
    assert math.isnan(none.NT_R)
    stays = Basis(basis.labels, 0 * basis.vectors, 0.5, basis.names, "test")
    row = evaluate(stays, pool, [(0,)], progress=False).iloc[0]
    assert row.FR == 0
    assert math.isnan(row.NT_R)


def test_sets_come_in_blocks(monkeypatch):
    pool, basis = scripted()
    sets = [(2, 3), (0, 2, 3), (0, 1), (0,), (1,)]
    whole = evaluate(basis, pool, sets, progress=False)
    monkeypatch.setattr(evaluation, "SETS_AT_ONCE", 2)
    assert evaluate(basis, pool, sets, progress=False).equals(whole)


def test_the_first_images_of_each_set_alone_are_attacked():
    pool, basis = scripted()
    table = evaluate(basis, pool, [(0, 1), (1,)], progress=False, most=2)
    assert table["images"].tolist() == [2, 2]
    assert table["hidden"].tolist() == [2, 2]
    assert table["changed"].tolist() == [2, 1 + 3]
    with pytest.raises(ValueError, match="most is 0: it must be a whole number, 1 or above"):
        evaluate(basis, pool, [(0,)], most=0)


def test_logit_of_exactly_zero_is_absent():
    pool, basis = scripted()
    pool.net.model.attacked[0, 0] = 0
    assert evaluate(basis, pool, [(0, 1)], progress=False).hidden[0] == 2


def test_means_over_sets():
    pool, basis = scripted()
    table = evaluate(basis, pool, [(0,), (1,), (3,), (0, 1), (2, 3)], progress=False)
    means = summarise(table)
    assert means.loc[1, "FR"] == pytest.approx((100 + 75 + 100) / 3)
    assert means.loc[1, "FR_std"] == pytest.approx(torch.tensor([100.0, 75, 100]).std().item())
    assert means.loc[2, "sets"] == 1
    assert means.loc[2, "images"] == 3
    assert math.isnan(means.loc[2, "FR_std"])
    table.loc[table["omega"] == (1,), "NT_R"] = float("nan")
    assert summarise(table).loc[1, "sets_hit"] == 2


def test_one_forward_a_pair_and_no_pass_to_compose():
    pool = net_pool()
    basis = cmlu_beta(pool, [0, 2, 3], short())
    before = pool.net.forwards, pool.net.backwards
    basis.compose_all([(0, 2), (0, 2, 3)])
    assert (pool.net.forwards, pool.net.backwards) == before
    table = evaluate(basis, pool, [(0,), (0, 2)], progress=False)
    assert pool.net.forwards - before[0] == table["images"].sum()
    assert pool.net.backwards == before[1]


def test_transfer_takes_the_images_of_the_victim_evaluated():
    source, other = net_pool(seed=0), net_pool(seed=1)
    basis = cmlu_beta(source, [0, 2, 3], short())
    table = evaluate(basis, other, [(0,), (2,)], progress=False)
    assert table["images"].tolist() == [len(other.containing((k,))) for k in (0, 2)]
    assert table["images"].tolist() != [len(source.containing((k,))) for k in (0, 2)]


def test_chunks_do_not_matter_and_projections_do():
    pool = net_pool()
    basis = cmlu_beta(pool, [0, 2, 3], short(epochs=8, step=0.02, epsilon=0.2))
    sets = [(0,), (0, 2), (2, 3)]
    first, second = (evaluate(basis, pool, sets, chunk=chunk, progress=False) for chunk in (1, 100))
    assert first.equals(second)
    clipped = evaluate(basis, pool, sets, progress=False, projection="clip")
    assert clipped.loc[0].equals(first.loc[0])


def test_errors():
    pool, basis = scripted()
    other = Pool(pool.net.model, pool.images, list("abce"))
    with pytest.raises(ValueError, match="test is for other labels than the pool's: label 3 is 'd' there and 'e' here"):
        evaluate(basis, other, [(0,)])
    with pytest.raises(ValueError, match="target set is empty"):
        evaluate(basis, pool, [()])
    small = Basis((0,), torch.zeros(1, 3, 2, 2), 0.5, pool.names, "test")
    with pytest.raises(ValueError, match="make them equal"):
        evaluate(small, pool, [(0,)], progress=False)
    with pytest.raises(ValueError, match=r"chunk is 1\.5: it must be a whole number"):
        evaluate(basis, pool, [(0,)], chunk=1.5)


def test_options_that_a_universal_does_not_have():
    pool, basis = scripted()
    single = PerSet(((0,),), basis.vectors[:1], basis.epsilon, pool.names, "Oracle")
    with pytest.raises(ValueError, match="Oracle has no option 'projection': its compose_all takes none; leave"):
        evaluate(single, pool, [(0,)], projection="clip")
    with pytest.raises(ValueError, match="test has no option 'project': its compose_all takes projection; leave"):
        evaluate(basis, pool, [(0,)], project="clip")
