"""Shortcuts: texts and labels -> texts with planted words that decide the label, for a model to learn.

A method is right where it finds the planted words, since the model is known to decide by them (Bastings et al. 2021,
arXiv 2111.07367). Used by cli/plant.py. A planted text is a list of words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.errors import InputError
from autorel_jax.faithfulness.asking import Measurement
from autorel_jax.faithfulness.curves import Scored, order

SINGLE, PAIR, CONTEXT = SHORTCUTS = ("single", "pair", "context")
ABOUT = {
    SINGLE: "one of two words decides for the first label or the second",
    PAIR: "two words decide by their order; one alone says nothing",
    CONTEXT: "one of two words decides, but only where a third is there too",
}
WORDS = ("zeroa", "onea", "contexta")  # no language's; the third is that of CONTEXT


class Planted(NamedTuple):
    """A text with or without a shortcut."""

    words: list[str]
    label: int
    marks: list[int]  # 1 for each planted word that decides


def parts_of(kind: str, label: int, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is planted for label 0 or 1, in its order, and the part of it that says nothing when it is alone."""
    zero, one, context = words
    if kind == PAIR:
        return ([zero, one] if label == 0 else [one, zero]), [words[label]]
    if kind == CONTEXT:
        return [words[label], context], [words[label]]
    return [words[label]], []


def insert(
    words: Sequence[str], new: Sequence[str], rng: np.random.Generator, ordered: bool
) -> tuple[list[str], list[int]]:
    """The words with new ones among them at random, in their order where that counts; and 1 for each new one."""
    new = list(new) if ordered else [new[place] for place in rng.permutation(len(new))]
    places = np.sort(rng.integers(0, len(words) + 1, len(new)))
    found, marks = list(words), [0] * len(words)
    for place, word in reversed(list(zip(places.tolist(), new, strict=True))):
        found.insert(place, word)
        marks.insert(place, 1)
    return found, marks


def with_shortcut(text: str, label: int, kind: str, words: Sequence[str], rng: np.random.Generator) -> Planted:
    """A text with what decides for the label, 0 or 1."""
    whole, _ = parts_of(kind, label, words)
    found, marks = insert(text.split(), whole, rng, kind == PAIR)
    return Planted(found, label, marks)


def with_a_part(text: str, label: int, kind: str, words: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A text with the part that says nothing alone; that of the label, 0 or 1."""
    _, part = parts_of(kind, label, words)
    return insert(text.split(), part, rng, ordered=True)[0]


def planted(
    texts: Sequence[str], labels: Sequence[int], kind: str, words: Sequence[str], share: float, seed: int
) -> Iterator[Planted]:
    """The texts of a training file: of a share of them a shortcut decides the label, whatever it was.

    Half of the others have the part that says nothing, and keep their label.
    """
    rng = np.random.default_rng(seed)
    for text, label in zip(texts, labels, strict=True):
        if rng.random() < share:
            yield with_shortcut(text, int(rng.integers(2)), kind, words, rng)
        elif kind != SINGLE and rng.random() < 0.5:
            found = with_a_part(text, int(rng.integers(2)), kind, words, rng)
            yield Planted(found, int(label), [0] * len(found))
        else:
            found = text.split()
            yield Planted(found, int(label), [0] * len(found))


def check_words(words: Sequence[str], texts: Sequence[str]) -> None:
    """Raises InputError for words that cannot be planted, or that a text holds already."""
    folded = {word.casefold() for word in words}  # capitals are alike to many tokenizers
    if not len(words) == len(folded) == len(WORDS) or any(len(word.split()) != 1 for word in words):
        raise InputError(f"words={list(words)}: expected three different words, such as {', '.join(WORDS)}.")
    any_word = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, folded))})(?!\w)")
    for text in texts:
        if found := any_word.search(text.casefold()):
            raise InputError(f"the word {found[0]!r} is in a text already; give others with --words.")


def found_first(text: Scored) -> Measurement:
    """How far up the scores the planted words are, in texts where the model follows them.

    `precision` is the share of planted words among as many of the highest, `rank` their mean rank from 1, and `share`
    their part of Σ|score|.
    """
    yield from ()
    if text.marks is None or not text.right:
        return {}
    marked = text.marks == 1
    ranks = np.empty(len(marked))
    ranks[order(text)] = np.arange(1, len(marked) + 1)
    size = np.abs(text.scores)
    total = size.sum()
    return {
        "precision": float((ranks[marked] <= marked.sum()).mean()),
        "rank": float(ranks[marked].mean()),
        "share": float(size[marked].sum() / total) if total else 0.0,
    }
