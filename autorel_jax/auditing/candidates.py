"""Candidates: texts with their units -> what may be a shortcut to each label, by its association and its relevance.

Association is the log odds ratio of the label between texts with and without it, with a half added to each count;
relevance is the mean of `strength` in the texts that are predicted as the label. Both are taken at the lower end of
their intervals of 95 %, so that what is rare has to show more. Used by shortcuts.py. N texts, K candidates.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.auditing.forms import BEGINS, ENDS, NEXT, PAIR, WORD, Candidate, places
from autorel_jax.auditing.units import Units
from autorel_jax.evaluation.words import Occurrences, Z, association, association_error, summary

STRONG = 6  # of a text's words, those whose pairs are looked at
LONGEST = 8  # units of a beginning or an ending
TEMPLATE = 0.02  # of the texts must begin or end so
PAIRS = 200  # for each label, by their association, that are counted in all texts


Held = dict[Candidate, np.ndarray]  # each with the places of the texts that hold it


class Text(NamedTuple):
    """A text of the corpus."""

    id: str | int
    texts: tuple[str, ...]
    units: Units
    label: int
    predicted: int
    source: frozenset[str] = frozenset()  # the words of where it comes from


class Found(NamedTuple):
    """What is known of a candidate for one label."""

    candidate: Candidate
    texts: np.ndarray  # places of the texts that hold it
    of_label: int  # how many of them have the label
    association: tuple[float, float, float]  # with its interval
    relevance: tuple[float, float, float]  # likewise
    predicted: int  # texts that the relevance is the mean of


def candidates(corpus: Sequence[Text], holding: Held, labels: int, most: int) -> Iterator[list[Found]]:
    """For each label the best words, and the best of the longer forms, `most` of both; `holding` is from `held`."""
    names = list(holding)
    if not names:
        yield from ([] for _ in range(labels))
        return
    key = np.repeat(np.arange(len(names)), [len(texts) for texts in holding.values()])
    text = np.concatenate(list(holding.values()))
    share = np.array([strength(names[of], corpus[number].units) for of, number in zip(key, text, strict=True)])
    found = Occurrences(text, key, share, np.zeros(len(text), bool))
    given, predicted = (np.array([getattr(one, name) for one in corpus]) for name in ("label", "predicted"))
    for label in range(labels):
        having = np.bincount(key, minlength=len(names))
        having_label = np.bincount(key[given[text] == label], minlength=len(names))
        odds = odds_of(having, having_label, len(corpus), int((given == label).sum()))
        means = summary(found, len(names), predicted == label)
        relevance = np.stack([means.mean, means.mean - means.half, means.mean + means.half])
        yield best(names, holding, having_label, odds, relevance, means.texts, most)


def strength(candidate: Candidate, units: Units) -> float:
    """How much of a text's relevance a candidate has: a word what it says for the label, or against it.

    Longer ones all that their words have, of either sign: where two words decide together, one of them may get less
    than nothing.
    """
    there = sorted({one for place in places(candidate, units) for one in place})
    shares = units.shares[there]
    return float(shares.sum() if candidate.form == WORD else np.abs(shares).sum())


def best(
    names: Sequence[Candidate],
    holding: Held,
    having_label: np.ndarray,
    odds: np.ndarray,
    relevance: np.ndarray,
    predicted: np.ndarray,
    most: int,
) -> list[Found]:
    """The candidates of one label, the likeliest first."""
    with np.errstate(invalid="ignore"):
        rank = np.where((odds[1] > 0) & (relevance[1] > 0), odds[1] * relevance[1], 0.0)
    order = [place for place in np.argsort(-rank, kind="stable").tolist() if rank[place] > 0]
    single = [place for place in order if names[place].form == WORD][:most]
    longer = without_twins([place for place in order if names[place].form != WORD], names, holding)[:most]
    return [
        Found(
            names[place],
            holding[names[place]],
            int(having_label[place]),
            tuple(odds[:, place].tolist()),
            tuple(relevance[:, place].tolist()),
            int(predicted[place]),
        )
        for place in (*single, *longer)
    ]


def without_twins(order: Sequence[int], names: Sequence[Candidate], holding: Held) -> list[int]:
    """Of two words in a row and the same anywhere only one: the former where most of the latter are in a row."""

    def is_kept(one: Candidate) -> bool:
        other = Candidate({NEXT: PAIR, PAIR: NEXT}.get(one.form, one.form), one.words)
        if other == one or other not in holding:
            return True
        in_a_row, anywhere = (len(holding[Candidate(form, one.words)]) for form in (NEXT, PAIR))
        return (one.form == NEXT) == (2 * in_a_row > anywhere)

    return [place for place in order if is_kept(names[place])]


def odds_of(having: np.ndarray, having_label: np.ndarray, texts: int, texts_label: int) -> np.ndarray:
    """Association with its interval [3, K]."""
    counts = (having, having_label, texts, texts_label)
    mean, half = association(*counts), Z * association_error(*counts)
    return np.stack([mean, mean - half, mean + half])


def held(corpus: Sequence[Text], labels: int, least: int) -> Held:
    """Every candidate that is looked at: those in `least` texts or more."""
    by_word = holders(corpus, lambda units: set(units.keys))
    in_a_row = holders(corpus, lambda units: set(neighbours(units)))
    found = {Candidate(WORD, (word,)): texts for word, texts in by_word.items()}
    found |= {Candidate(NEXT, words): texts for words, texts in in_a_row.items()}
    for words in strong_pairs(corpus, labels, least):
        candidate = Candidate(PAIR, words)
        both = np.intersect1d(by_word[words[0]], by_word[words[1]], assume_unique=True)
        found[candidate] = np.array([place for place in both.tolist() if places(candidate, corpus[place].units)])
    for form in (BEGINS, ENDS):
        found |= templates(corpus, form, least)
    return {candidate: texts for candidate, texts in found.items() if len(texts) >= least}


def holders(corpus: Sequence[Text], parts: Callable[[Units], Iterable]) -> dict:
    """Each part that `parts` names -> the places of the texts that have it."""
    found: dict = defaultdict(list)
    for place, text in enumerate(corpus):
        for part in parts(text.units):
            found[part].append(place)
    return {part: np.array(texts) for part, texts in found.items()}


def neighbours(units: Units) -> Iterator[tuple[str, str]]:
    """Each two units in a row of one segment."""
    of = zip(units.keys, units.segments, strict=True)
    return ((one, two) for (one, first), (two, second) in itertools.pairwise(of) if first == second)


def strong_pairs(corpus: Sequence[Text], labels: int, least: int) -> list[tuple[str, str]]:
    """Ordered pairs of words that are strong in the same text, as far as they go with a label."""
    counts: dict[tuple[str, str], Counter] = defaultdict(Counter)
    for text in corpus:
        units = text.units
        strong = sorted(np.argsort(-np.abs(units.shares), kind="stable")[:STRONG].tolist())
        pairs = {
            (units.keys[one], units.keys[two])
            for one, two in itertools.combinations(strong, 2)
            if units.segments[one] == units.segments[two] and units.keys[one] != units.keys[two]
        }
        for pair in pairs:
            counts[pair][text.label] += 1
    names = [pair for pair, count in counts.items() if count.total() >= least]
    having = np.array([counts[pair].total() for pair in names])
    chosen: dict[tuple[str, str], None] = {}
    for label in range(labels if names else 0):
        having_label = np.array([counts[pair][label] for pair in names])
        low = odds_of(having, having_label, len(corpus), sum(text.label == label for text in corpus))[1]
        order = np.argsort(-low, kind="stable")[:PAIRS]
        chosen |= {names[place]: None for place in order.tolist() if low[place] > 0}
    return list(chosen)


def templates(corpus: Sequence[Text], form: str, least: int) -> Held:
    """The beginnings or endings of two units or more that many texts have.

    One is left out where nearly all texts that have it have the same longer one.
    """
    often = max(least, TEMPLATE * len(corpus))

    def ends(units: Units) -> set[tuple[str, ...]]:
        made = set()
        for segment in set(units.segments):
            first, count = units.first(segment), units.count(segment)
            for size in range(2, min(LONGEST, count) + 1):
                start = first if form == BEGINS else first + count - size
                made.add(units.keys[start : start + size])
        return made

    found = {words: texts for words, texts in holders(corpus, ends).items() if len(texts) >= often}
    shorter = {
        words[:-1] if form == BEGINS else words[1:]
        for words, texts in found.items()
        if len(texts) >= 0.9 * len(found.get(words[:-1] if form == BEGINS else words[1:], ()))
    }
    return {Candidate(form, words): texts for words, texts in found.items() if words not in shorter}
