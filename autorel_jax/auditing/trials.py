"""Trials: a candidate and a label -> what deleting it from its texts and inserting it into others does.

The change is that of the label's log odds, log p / (1 - p), positive where the candidate speaks for the label. Used by
shortcuts.py. N texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.auditing.candidates import Found, Text
from autorel_jax.auditing.forms import (
    NEXT,
    PAIR,
    Candidate,
    Piece,
    Place,
    alone,
    inserted,
    pieces_of,
    places,
    to_delete,
    without,
)
from autorel_jax.auditing.reading import Changed, same_reading
from autorel_jax.data.row import Row
from autorel_jax.faithfulness.intervals import mean_by_t, share_of
from autorel_jax.faithfulness.results import as_json

TOO_FEW = "there are too few texts to test it"
Texts = tuple[str, ...]
Words = Sequence[tuple[Candidate, np.ndarray]]  # each with the texts that hold it


class Change(NamedTuple):
    """What changing texts did to what is predicted."""

    places: list[int]  # [N] the texts that could be compared
    texts: list[Texts]  # [N] as changed
    before: np.ndarray  # [N] the label's log odds
    after: np.ndarray  # [N]
    becomes: np.ndarray  # [N] what is predicted of the changed text

    def gain(self) -> dict[int, float]:
        """How much the log odds of each text rose."""
        return dict(zip(self.places, (self.after - self.before).tolist(), strict=True))


class Trial(NamedTuple):
    """What a candidate does."""

    deletion: dict[str, Any]  # JSON
    insertion: dict[str, Any]  # JSON
    deleted: Change
    faults: list[str]  # why it is not listed; empty if it is


class Trials:
    """Tests candidates on a corpus; `words` are those of which one drawn at random is what a candidate must beat."""

    def __init__(self, corpus: Sequence[Text], changed: Changed, words: Words, tested: int, seed: int):
        self.corpus, self.changed, self.words, self.tested, self.seed = corpus, changed, words, tested, seed
        self.order = np.random.default_rng(seed).permutation(len(corpus)).tolist()

    def trial(self, found: Found, label: int) -> Trial:
        """Deletes and inserts a candidate, in and into `tested` texts at most."""
        holding = set(found.texts.tolist())
        of_label = [place for place in self.order if place in holding and self.corpus[place].predicted == label]
        deleted = self.delete(found.candidate, of_label[: self.tested], label)
        # Of a pair's words none may be there: one alone would make the pair with the other.
        if found.candidate.form in (NEXT, PAIR):
            holding = {place for place in self.order if not self.lacks(place, found.candidate.words)}
        others = [place for place in self.order if place not in holding and self.is_of_another(place, label)]
        others = others[: self.tested]
        drawn = [self.draw(found.candidate, found.texts, place) for place in others]
        size = len(found.candidate.words)
        whole = self.insert(others, [self.pieces(*one) for one in drawn], label)
        at_random = self.insert(others, [self.random_words(place, size) for place in others], label)
        gain, by_chance = whole.gain(), at_random.gain()
        beyond = {"beyond_random_words": [gain[place] - by_chance[place] for place in gain if place in by_chance]}
        if size > 1:
            each = [
                self.insert(others, [[self.alone(word, *one)] for one in drawn], label).gain() for word in range(size)
            ]
            beyond["beyond_twice_its_words"] = beyond_twice(gain, *each)
        loss = deleted.before - deleted.after
        deletion = told(len(loss), deleted.becomes != label, {"change": loss})
        insertion = told(len(gain), whole.becomes == label, {"change": list(gain.values())} | beyond)
        insertion["random_words"] = told(
            len(by_chance), at_random.becomes == label, {"change": list(by_chance.values())}
        )
        return Trial(deletion, insertion, deleted, faults(deletion, insertion))

    def lacks(self, place: int, words: Sequence[str]) -> bool:
        """Whether a text has none of the words."""
        return not set(words) & set(self.corpus[place].units.keys)

    def is_of_another(self, place: int, label: int) -> bool:
        """Whether a text neither has that label nor is predicted to have it."""
        return label not in (self.corpus[place].label, self.corpus[place].predicted)

    def delete(self, candidate: Candidate, chosen: Sequence[int], label: int) -> Change:
        """What deleting it does."""
        made = {}
        for place in chosen:
            text = self.corpus[place]
            gone = to_delete(candidate, text.units)
            if len(gone) < len(text.units.keys):
                made[place] = without(text.texts, text.units, gone)
        return self.compare(made, label)

    def insert(self, chosen: Sequence[int], pieces: Sequence[Sequence[Piece]], label: int) -> Change:
        """What inserting something into each text does."""
        of = zip(chosen, pieces, strict=True)
        texts = ((place, self.corpus[place], some) for place, some in of)
        return self.compare({place: inserted(text.texts, text.units, some) for place, text, some in texts}, label)

    def compare(self, made: Mapping[int, Texts], label: int) -> Change:
        """The texts as they are and as they are changed; those that are cut off elsewhere then are left out."""
        rows = [Row(self.corpus[place].id, *pair_of(self.corpus[place].texts), None) for place in made]
        whole = self.changed.tokens(rows, [self.corpus[place].texts for place in made])
        new = self.changed.tokens(rows, list(made.values()))
        both = [
            (place, one, other)
            for place, one, other in zip(made, whole, new, strict=True)
            if one.truncated == other.truncated and all(map(str.strip, made[place])) and not same_reading(one, other)
        ]
        logits = self.changed.logits([tokens for _, one, other in both for tokens in (one, other)])
        odds = log_odds(logits, label).reshape(-1, 2)
        kept = [place for place, *_ in both]
        becomes = logits.reshape(len(both), 2, -1)[:, 1].argmax(axis=1) if both else np.zeros(0, int)
        return Change(kept, [made[place] for place in kept], odds[:, 0], odds[:, 1], becomes)

    def draw(self, candidate: Candidate, holding: np.ndarray, place: int) -> tuple[int, Place]:
        """An occurrence of it: in which text, and where; another one for each text that it is inserted into."""
        rng = np.random.default_rng([self.seed, place])
        source = int(rng.choice(holding))
        there = places(candidate, self.corpus[source].units)
        return source, there[rng.integers(len(there))]

    def pieces(self, source: int, place: Place) -> list[Piece]:
        """An occurrence, to insert elsewhere."""
        return pieces_of(place, self.corpus[source].texts, self.corpus[source].units)

    def alone(self, word: int, source: int, place: Place) -> Piece:
        """One word of an occurrence, to insert where it would stand with the others."""
        return alone(word, place, self.corpus[source].texts, self.corpus[source].units)

    def random_words(self, place: int, count: int) -> list[Piece]:
        """Occurrences of words drawn at random, each different word as likely as any other."""
        rng = np.random.default_rng([self.seed, place, 1])
        drawn = [self.words[rng.integers(len(self.words))] for _ in range(count)]
        pieces = [piece for one in drawn for piece in self.pieces(*self.draw(*one, place))]
        return sorted(pieces, key=lambda piece: (piece.segment, piece.where))


def pair_of(texts: Texts) -> tuple[str, str | None]:
    """The text, and its pair or None."""
    return texts[0], texts[1] if len(texts) > 1 else None


def log_odds(logits: np.ndarray, label: int) -> np.ndarray:
    """log p / (1 - p) of a label [N] by logits [N, C] of labels that exclude each other."""
    others = np.delete(logits, label, axis=1)
    return logits[:, label] - np.logaddexp.reduce(others, axis=1)


def told(texts: int, flips: np.ndarray, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Numbers with their intervals, as JSON."""
    means = {name: as_json(mean_by_t(np.array(found, np.float64))) for name, found in values.items()}
    return {"texts": texts, "flips": as_json(share_of(int(flips.sum()), len(flips))), **means}


def beyond_twice(gain: Mapping[int, float], *parts: Mapping[int, float]) -> list[float]:
    """What is left of each text's gain without twice that of the parts; a part that speaks against counts as 0.

    Above 0, more than half of the gain is of the whole and not of its parts.
    """
    return [
        gain[place] - 2 * sum(max(part[place], 0.0) for part in parts)
        for place in gain
        if all(place in part for part in parts)
    ]


def faults(deletion: Mapping[str, Any], insertion: Mapping[str, Any]) -> list[str]:
    """Why a candidate is no shortcut."""
    found = []
    for tested, name, why in (
        (deletion, "change", "deleting it takes nothing from the label for certain"),
        (insertion, "beyond_random_words", "inserting it does no more than random words for certain"),
        (insertion, "beyond_twice_its_words", "half or more of what it does may be of its words one by one"),
    ):
        low = tested[name]["low"] if name in tested else math.inf
        if low is None:
            found.append(TOO_FEW)
        elif low <= 0:
            found.append(why)
    return list(dict.fromkeys(found))
