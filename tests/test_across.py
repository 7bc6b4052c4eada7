"""Words in the results of two tasks, by hand."""

import numpy as np
import pytest
from explanations import explanation
from models import refusal

import autorel_jax as ar
from autorel_jax.evaluation.ranks import ranked, spearman


def records(*texts, target="positive"):
    """(text, relevance of its words) each; special tokens have none."""
    made = [
        explanation(text, (0.0, *scores, 0.0), id=number, target=target) for number, (text, scores) in enumerate(texts)
    ]
    return [one.to_dict() for one in made]


FILMS = records(("good film", (3.0, 1.0)), ("bad film", (-3.0, 1.0)), ("dull film", (-1.0, 1.0)))
FOOD = records(("Good, food", (1.0, 1.0)), ("bad food", (-1.0, 3.0)), ("dull food", (-3.0, 1.0)))


def test_means_of_words_by_hand():
    found = ar.compare_words(FILMS, FOOD, least=1)
    assert found.words == ["good", "bad", "dull"]
    np.testing.assert_allclose(found.first, [0.75, -0.75, -0.5])
    np.testing.assert_allclose(found.second, [0.5, -0.25, -0.75])
    assert found.correlation == pytest.approx(0.5)  # ranks 2, 0, 1 and 2, 1, 0
    assert ar.compare_words(FILMS, FILMS, least=1).correlation == pytest.approx(1)
    only = ar.compare_words(FILMS, FILMS, least=3)
    assert (only.words, only.correlation) == (["film"], None)


def test_one_target_of_each():
    both = [*FILMS, *records(("good film", (-3.0, -1.0)), target="negative")]
    assert ar.compare_words(both, FOOD, targets=("positive", None), least=1) is not None
    assert "name one target" in refusal(ar.compare_words, both, FOOD, least=1)
    assert "name one target" in refusal(ar.compare_words, FILMS, FOOD, targets=("neutral", None), least=1)
    assert "No word is in 2 texts of both" in refusal(ar.compare_words, FILMS, FOOD, least=2)
    assert "expected two" in refusal(ar.compare_words, FILMS, FOOD, targets="positive")
    assert "at least 1" in refusal(ar.compare_words, FILMS, FOOD, least=0)


def test_ranks_of_equal_numbers():
    assert ranked(np.array([2.0, 1.0, 2.0, 5.0])).tolist() == [1.5, 0, 1.5, 3]
    assert spearman(np.array([1.0, 2.0]), np.array([3.0, 3.0])) is None
