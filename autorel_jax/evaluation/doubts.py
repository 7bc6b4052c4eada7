"""Doubts: a Collection -> what to know of each explanation before trusting it, in words.

Beside the warnings that an explanation itself has. Used by report/page. R explanations of one series.
"""

from __future__ import annotations

import unicodedata

import numpy as np

from autorel_jax.evaluation.collection import Collection, Series, lengths, places
from autorel_jax.evaluation.words import shares

MOST = 0.5  # a share of Σ|relevance| from which an explanation rests on what has it
FEW = 3  # texts of so few words rest on one of them without anything being wrong
EXPLAINED = (0.5, 1.5)  # parts of the target's value that scores may add up to

CUT = "A part of this text was not read: it is longer than the model takes."
PART = "The scores add up to less than half, or more than one and a half, of the target's value."
ONE_WORD = "More than half of the text's Σ|relevance| is on one word."
PUNCTUATION = "More than half of the text's Σ|relevance| is on punctuation."
SPECIAL = "More than half of the text's Σ|relevance| is on special tokens."


def doubts(collection: Collection, series: Series) -> list[list[str]]:
    """The doubts of each explanation of a series, in its order [R]."""
    rows = np.asarray(series.rows)
    counts, where = lengths(collection.words, rows), places(collection.words, rows)
    size = np.abs(shares(np.asarray(series.scores, np.float64), counts))
    owner = np.repeat(np.arange(len(rows)), counts)
    special, punctuation = kinds(collection)
    text_words = ~(special | punctuation)[where]
    largest = np.zeros(len(rows))
    np.maximum.at(largest, owner[text_words], np.nan_to_num(size[text_words]))
    words = np.bincount(owner, text_words, len(rows))
    marks = {
        CUT: np.array([collection.texts[row].truncated > 0 for row in rows], bool),
        PART: np.array([only_a_part(facts) for facts in series.facts], bool),
        ONE_WORD: (largest > MOST) & (words > FEW),
        PUNCTUATION: np.bincount(owner, size * punctuation[where], len(rows)) > MOST,
        SPECIAL: np.bincount(owner, size * special[where], len(rows)) > MOST,
    }
    return [[text for text, mark in marks.items() if mark[place]] for place in range(len(rows))]


def kinds(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Which words of all texts are special tokens, and which are punctuation alone [M]."""
    spans = np.asarray(collection.words.spans).reshape(-1, 2)
    special = spans[:, 1] < spans[:, 0]
    alone = {name: is_punctuation(name) for name in set(collection.words.names)}
    return special, np.array([alone[name] for name in collection.words.names], bool) & ~special


def is_punctuation(word: str) -> bool:
    """Whether a word has no letter, digit or symbol."""
    return bool(word) and all(unicodedata.category(character)[0] == "P" for character in word)


def only_a_part(facts: dict) -> bool:
    """Whether the scores add up to much less or more than the target's value; False where that is not known."""
    value, explained = facts.get("target_value"), facts.get("explained")
    if value is None or explained is None or not value:
        return False
    return not EXPLAINED[0] <= explained / value <= EXPLAINED[1]
