"""Compare: two series of scores of the same texts -> where they differ, text by text and word by word.

Two models, two methods or two targets: a series is one method for one target, and `add_other` makes the results of
another model series of the first's texts. report/page/compare.js computes the same for the two series that are chosen
in the page; a test compares the two. N texts, R texts of both series, K different n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.errors import InputError, one_line
from autorel_jax.evaluation.collection import Collection, Other, Series, Text, lengths
from autorel_jax.evaluation.words import Occurrences, Summary, shares, summary


class Changes(NamedTuple):
    """What words do in two series, over the texts that both have."""

    first: Summary
    second: Summary
    difference: Summary  # of the shares in one text, second minus first


def add_other(collection: Collection, other: Collection) -> None:
    """Adds the scores that other results, most likely of another model, have for the collection's texts.

    Texts are the same if id, text and pair are; in each of both results they are counted where they come several
    times. A text that is split into other words there takes part with its prediction alone.

    Raises:
      InputError: no text is in both, or the two have no label in common.
    """
    places = match(collection.texts, other.texts)
    if not len(places):
        raise InputError(
            "None of the texts is in both results; a text is the same if its id, its text and its pair are."
        )
    if collection.outputs is not None and other.outputs is not None:
        ours, theirs = (set(side) for side in zip(*places, strict=True))
        check_common(collection.labels(ours), other.labels(theirs))
    same = {theirs: ours for ours, theirs in places if collection.words.of(ours) == other.words.of(theirs)}
    predictions = {ours: other.texts[theirs].prediction for ours, theirs in places}
    first, name = len(collection.methods), str((other.model or {}).get("name", ""))
    collection.other = Other(name, first, predictions, len(places) - len(same), len(other) - len(places))
    collection.methods += other.methods
    for (method, target), series in other.series.items():
        made = Series(first + method, target)
        offsets = np.concatenate([[0], np.cumsum(lengths(other.words, np.asarray(series.rows)))])
        for place, theirs in enumerate(series.rows):
            if theirs in same:
                made.rows.append(same[theirs])
                made.known.add(same[theirs])
                made.scores.extend(series.scores[offsets[place] : offsets[place + 1]])
                made.facts.append(series.facts[place])
        collection.series[first + method, target] = made


def check_common(first: Sequence[str], second: Sequence[str], what: str = "results") -> None:
    """Raises InputError where two models, or their results, have no label in common: they are compared by names."""
    if set(first) & set(second):
        return
    listed = "; ".join(one_line(", ".join(side), 80) for side in (first, second))
    also = ", or, where each prediction changed, explain one label in both by --target" if what == "results" else ""
    raise InputError(
        f"The {what} have no label in common: {listed}. Labels are compared by their names: rename those of one model "
        f"by autorel convert --labels{also}."
    )


def match(first: list[Text], second: list[Text]) -> list[tuple[int, int]]:
    """The places of the same texts in both, in the order of the first; an entity is the same at the same place."""
    there: dict[tuple[Any, ...], list[int]] = {}
    for place, text in enumerate(second):
        there.setdefault(key_of(text), []).append(place)
    pairs = []
    for place, text in enumerate(first):
        if same := there.get(key_of(text)):
            pairs.append((place, same.pop(0)))
    return pairs


def key_of(text: Text) -> tuple[Any, ...]:
    """What is the same of the same text in other results."""
    return str(text.id), text.text, text.pair, text.span


def word_changes(first: Occurrences, second: Occurrences, count: int) -> Changes:
    """What `count` n-grams do in two series, over the texts that both have.

    The difference is paired: that of the shares in the same text. So what varies between texts cancels, and its
    interval is that of a change.
    """
    one, two, difference = in_both(first, second)
    return Changes(summary(one, count), summary(two, count), summary(difference, count))


def in_both(first: Occurrences, second: Occurrences) -> tuple[Occurrences, Occurrences, Occurrences]:
    """The occurrences in texts that both series have: of the first, of the second, and with the difference."""
    texts = np.intersect1d(first.text, second.text)
    one, two = (Occurrences(*(field[np.isin(found.text, texts)] for field in found)) for found in (first, second))
    # Both have the same words of the same texts, and np.unique has sorted both.
    return one, two, two._replace(share=two.share - one.share)


def moved(collection: Collection, first: Series, second: Series) -> dict[int, float]:
    """Of each text that both series have, how much of its relevance moved to another word or changed its sign.

    Half of Σ|difference of the shares|: 0 where all shares are equal, 1 where nothing is left of the first.
    """
    by_text = [share_of_texts(collection, series) for series in (first, second)]
    both = [text for text in by_text[0] if text in by_text[1]]
    return {text: float(np.abs(by_text[1][text] - by_text[0][text]).sum() / 2) for text in both}


def share_of_texts(collection: Collection, series: Series) -> dict[int, np.ndarray]:
    """The shares of the words of each text."""
    rows = np.asarray(series.rows)
    counts = lengths(collection.words, rows)
    every = shares(np.asarray(series.scores, np.float64), counts)
    return dict(zip(rows.tolist(), np.split(every, np.cumsum(counts)[:-1]), strict=True)) if len(rows) else {}
