"""Hadamard codes and decoding."""

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard as scipy_hadamard

from companion.victims import codebook
from companion.victims.codes import decode, hadamard


@pytest.mark.parametrize(("order", "classes"), [(2, 2), (16, 10), (32, 32)])
def test_rows_are_scipys_and_orthogonal(order, classes):
    code = hadamard(order, classes)
    assert code.dtype == torch.float32
    np.testing.assert_array_equal(code.numpy(), scipy_hadamard(order)[:classes])
    torch.testing.assert_close(code @ code.T, order * torch.eye(classes))


def test_entries_are_parities_of_common_bits():
    code = hadamard(32, 32)
    for i, j in [(0, 5), (3, 3), (7, 21), (31, 31)]:
        assert code[i, j] == (-1) ** (i & j).bit_count()


@pytest.mark.parametrize(
    ("order", "classes", "word"), [(12, 10, "power of two"), (16, 17, "raise the order"), (16, 1, "2 to")]
)
def test_impossible_codes_are_refused(order, classes, word):
    with pytest.raises(ValueError, match=word):
        hadamard(order, classes)


def test_decoding_corrects_wrong_bits():
    code = hadamard(16, 10)
    logits = 3 * code.clone()
    logits[:, [1, 6, 11]] *= -1  # three of sixteen bits wrong: fewer than half the distance of 8
    assert decode(logits, code).tolist() == list(range(10))


def test_decoding_weighs_bits_by_their_tanh():
    code = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert decode(torch.tensor([[100.0, -0.1], [-100.0, 0.2]]), code).tolist() == [1, 0]


def test_codebooks_of_victims():
    assert codebook("signs32-ecoc").shape == (32, 32)
    assert codebook("digits-ecoc").shape == (10, 16)
    assert codebook("pictograms20-resnet") is None
