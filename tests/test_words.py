"""words.py: sums over word pieces, totals kept."""

from pathlib import Path

import numpy as np
import pytest
from tolerances import SUM_FLOAT64

from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.text.words import pool

VOCAB = Path(__file__).parent / "fixtures" / "vocab.txt"


@pytest.fixture(scope="module")
def tokens():
    (row,) = load_tokenizer(VOCAB)([["unsaid,", "", "films"]], ["good"], max_length=32)
    assert row.pieces == (
        "[CLS]",
        "u",
        "##n",
        "##s",
        "##a",
        "##i",
        "##d",
        ",",
        "film",
        "##s",
        "[SEP]",
        "good",
        "[SEP]",
    )
    return row


def test_by_hand(tokens):
    relevance = np.array([0.5, 1, 2, 3, 4, 5, 6, -7, 10, -20, 100, 1000, 0.25])
    assert pool(relevance, tokens).tolist() == [0.5, 14, 0, -10, 100, 1000, 0.25]
    assert tokens.words == ("[CLS]", "unsaid,", "", "films", "[SEP]", "good", "[SEP]")


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (0,)])
def test_leading_axes_and_totals(tokens, shape):
    relevance = np.random.default_rng(0).normal(size=(*shape, 13))
    words = pool(relevance, tokens)
    assert words.shape == (*shape, 7)
    np.testing.assert_allclose(words.sum(-1), relevance.sum(-1), rtol=0, atol=SUM_FLOAT64)
    matrix = (np.arange(7)[:, None] == tokens.word_index).astype(float)  # [W, T]
    np.testing.assert_allclose(words, relevance @ matrix.T, rtol=0, atol=SUM_FLOAT64)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.float16, np.float16), (np.float32, np.float32), (np.float64, np.float64), (np.int32, np.float64)],
)
def test_dtype(tokens, dtype, expected):
    assert pool(np.ones(13, dtype), tokens).dtype == expected


def test_sums_run_in_float64(tokens):
    relevance = np.zeros(13, np.float32)
    relevance[1:5] = [1e8, 1, 1, -1e8]  # in float32, 1e8 + 1 is 1e8
    assert pool(relevance, tokens)[1] == 2


def test_nan_stays_in_its_word(tokens):
    relevance = np.ones(13)
    relevance[8] = np.nan
    assert np.isnan(pool(relevance, tokens)).tolist() == [False, False, False, True, False, False, False]


@pytest.mark.parametrize("shape", [(), (12,), (13, 2), (16,)])
def test_other_lengths_are_refused(tokens, shape):
    with pytest.raises(ValueError, match="13 tokens; the last axis must be 13 long"):
        pool(np.ones(shape), tokens)


def test_empty_text():
    (row,) = load_tokenizer(VOCAB)([""], max_length=8)
    assert pool(np.array([1.0, 2.0]), row).tolist() == [1, 2]
