"""Words: a Collection -> how words and n-grams behave over all its texts. The one home of these formulas.

The share of a word is its score divided by Σ|score| over all words of its text, special tokens included, so texts of
different lengths compare. A word that occurs several times in a text counts once, with the sum of its shares. So the
values of a word are one number for each text that holds it, and all statistics are over texts.

report/page/ngrams.js computes the same for n-grams when they are asked for; a test compares the two.
N texts, M words of all texts, O occurrences of n-grams in texts, K different n-grams.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autorel_jax.evaluation.collection import Collection, Series, lengths, places

STRONGEST = 3  # of a text; how often a word is among them is counted
PRIOR = 4  # texts' worth of the usual spread in a word's own: a word of two texts that agree is no certain one
Z = 1.959963984540054  # 97.5 % of the normal distribution: intervals are of 95 %
LISTED = ((20, 1), (200, 3), (math.inf, 5))  # of fewer texts than that, a list has the words of so many texts or more
HALF = 0.5  # added to every count of a log odds ratio (Haldane), so that none is infinite


class Keys(NamedTuple):
    """Words of all texts as numbers."""

    names: list[str]  # [K]
    of_words: np.ndarray  # [M] place in `names`; -1 for special tokens


class Occurrences(NamedTuple):
    """What one series says of n-grams, one entry for each text and each different n-gram in it."""

    text: np.ndarray  # [O]
    key: np.ndarray  # [O]
    share: np.ndarray  # [O] the sum over its places in the text
    strongest: np.ndarray  # [O] whether it is among the text's STRONGEST by |share|


class Summary(NamedTuple):
    """Statistics of K n-grams over the texts that hold them."""

    texts: np.ndarray  # [K] how many
    mean: np.ndarray  # [K] of their shares; NaN without texts
    spread: np.ndarray  # [K] their standard deviation; NaN for fewer than two
    half: np.ndarray  # [K] half of the mean's interval of 95 %
    strongest: np.ndarray  # [K] in how many texts it is among the strongest


class Pull(NamedTuple):
    """What n-grams do for the predicted label, where that is wrong and where it is right."""

    wrong: Summary
    right: Summary
    difference: np.ndarray  # [K] of the means, wrong minus right; 0 stands for the mean of no texts
    half: np.ndarray  # [K] half of its interval of 95 %


def least(texts: int) -> int:
    """In how many of so many texts a word must be to be listed."""
    return next(count for below, count in LISTED if texts < below)


def key(word: str) -> str:
    """What counts as one word: upper and lower case, and punctuation around it, make no difference."""
    folded = unicodedata.normalize("NFC", word.casefold())
    start, end = 0, len(folded)
    while start < end and unicodedata.category(folded[start])[0] == "P":
        start += 1
    while end > start and unicodedata.category(folded[end - 1])[0] == "P":
        end -= 1
    return folded[start:end] or folded


def keys(collection: Collection) -> Keys:
    """The words of a collection as numbers, in the order in which they first occur."""
    units = collection.words
    special = np.asarray(units.spans).reshape(-1, 2)
    special = special[:, 1] < special[:, 0]
    of_name: dict[str, int] = {}
    numbers: dict[str, int] = {}
    found = np.full(len(units.names), -1, np.int64)
    for place in np.flatnonzero(~special):
        name = units.names[place]
        if name not in of_name:
            folded = key(name)
            of_name[name] = numbers.setdefault(folded, len(numbers))
        found[place] = of_name[name]
    return Keys(list(numbers), found)


def shares(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scores of words, text after text, as shares of their text's Σ|score|.

    NaN in all words of a text that has a score which is not finite; 0 where all are 0.
    """
    text = np.repeat(np.arange(len(counts)), counts)
    total = np.bincount(text, np.abs(scores), len(counts))[text]
    with np.errstate(invalid="ignore"):
        part = np.divide(scores, total, out=np.zeros(len(scores)), where=total != 0)
    return np.where(np.isfinite(total), part, np.nan)


def ngrams(collection: Collection, words: Keys, n: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """All runs of n words of one text and segment, no special token among them.

    Returns:
      The K different ones, each as the numbers of its words, in the order in which they first occur; and for each of
      the M words the number of the one that begins there, -1 for none.
    """
    units, count = collection.words, len(words.of_words)
    text = np.repeat(np.arange(len(collection)), np.diff(np.asarray(units.offsets)))
    where = text * 2 + np.asarray(units.owners)
    if count < n:
        return [], np.full(count, -1, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(words.of_words, n)
    together = (windows >= 0).all(1) & (where[: count - n + 1] == where[n - 1 :])
    different, first, inverse = np.unique(windows[together], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    begins = np.full(count, -1, np.int64)
    begins[np.flatnonzero(together)] = rank[inverse.reshape(-1)]
    return [tuple(row) for row in different[order].tolist()], begins


def occurrences(collection: Collection, series: Series, begins: np.ndarray, n: int) -> Occurrences:
    """The n-grams of one series; texts whose scores are not all finite are left out.

    Args:
      collection: that the series is of.
      series: one of its series.
      begins: [M] of `ngrams`.
      n: their length.
    """
    rows = np.asarray(series.rows)
    share = shares(np.asarray(series.scores, np.float64), lengths(collection.words, rows))
    of_words = np.full(len(begins) + n - 1, np.nan)
    of_words[places(collection.words, rows)] = share
    value = sum(of_words[step : len(begins) + step] for step in range(n))
    there = np.flatnonzero((begins >= 0) & np.isfinite(value))
    text = np.repeat(np.arange(len(collection)), np.diff(np.asarray(collection.words.offsets)))[there]
    pairs = np.stack([text, begins[there]], 1)
    different, inverse = np.unique(pairs, axis=0, return_inverse=True)
    total = np.bincount(inverse.reshape(-1), value[there], len(different))
    return Occurrences(different[:, 0], different[:, 1], total, among_strongest(different[:, 0], total))


def among_strongest(text: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Whether an occurrence is among its text's STRONGEST; all that are as strong as the last of them are."""
    order = np.lexsort((-np.abs(share), text))
    begin = np.searchsorted(text[order], np.unique(text))
    end = np.append(begin[1:], len(order))
    last = order[np.minimum(begin + STRONGEST, end) - 1]
    least = dict(zip(np.unique(text).tolist(), np.abs(share[last]).tolist(), strict=True))
    bound = np.array([least[place] for place in text.tolist()])
    return (np.abs(share) >= bound) & (share != 0)


def summary(found: Occurrences, count: int, among: np.ndarray | None = None) -> Summary:
    """Statistics of each of `count` n-grams, over all texts or `among` those that are True [N].

    The interval of a mean is Student's, of a variance that counts the variance usual for an n-gram as PRIOR more
    texts: s² = (Σ(x - mean)² + PRIOR σ²) / (n - 1 + PRIOR), σ² being pooled over all n-grams (Smyth 2004's moderated
    t, with a fixed prior). So it is known for a single text too.
    """
    chosen = slice(None) if among is None else among[found.text]
    which, value, top = found.key[chosen], found.share[chosen], found.strongest[chosen]
    texts = np.bincount(which, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(which, value, count) / texts
        squares = np.bincount(which, (value - mean[which]) ** 2, count)
        spread = np.where(texts > 1, np.sqrt(squares / (texts - 1)), np.nan)
        free = int(np.maximum(texts - 1, 0).sum())
        usual = squares.sum() / free if free else np.nan
        variance = (squares + PRIOR * usual) / (texts - 1 + PRIOR)
        half = student(np.maximum(texts, 1) - 1 + PRIOR) * np.sqrt(variance / texts)
    half = np.where(texts > 0, half, np.nan)
    return Summary(texts, mean, spread, half, np.bincount(which[top], minlength=count))


def student(freedom: np.ndarray) -> np.ndarray:
    """97.5 % of Student's t, by the expansion in 1 / freedom; within 0.001 from 4 degrees of freedom on.

    Source: Abramowitz & Stegun 1964, 26.7.5.
    """
    z, v = Z, np.asarray(freedom, np.float64)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, start=1))


def finite_texts(collection: Collection, series: Series) -> np.ndarray:
    """Which texts have scores in a series, all of them finite [N]: those that statistics are over."""
    rows, counts = np.asarray(series.rows), lengths(collection.words, np.asarray(series.rows))
    total = np.bincount(np.repeat(np.arange(len(rows)), counts), np.abs(np.asarray(series.scores)), len(rows))
    found = np.zeros(len(collection), bool)
    found[rows[np.isfinite(total)]] = True
    return found


def label_counts(found: Occurrences, count: int, labels: Sequence[str | None], label: str) -> tuple[np.ndarray, ...]:
    """How many of the texts with each n-gram have a label [K], and how many have this one [K]."""
    labelled = np.array([each is not None for each in labels])
    this = np.array([each == label for each in labels])
    return tuple(np.bincount(found.key[mask[found.text]], minlength=count) for mask in (labelled, this))


def association(having: np.ndarray, having_label: np.ndarray, texts: int, texts_label: int) -> np.ndarray:
    """The log odds ratio of the label between texts with and without an n-gram [K]: above 0, they go together.

    Args:
      having: [K] labelled texts with it.
      having_label: [K] those of the label.
      texts: all labelled texts.
      texts_label: those of the label.
    """
    without, without_label = texts - having, texts_label - having_label
    inside = np.log((having_label + HALF) / (having - having_label + HALF))
    return inside - np.log((without_label + HALF) / (without - without_label + HALF))


def association_error(having: np.ndarray, having_label: np.ndarray, texts: int, texts_label: int) -> np.ndarray:
    """The standard error of `association` [K]: the root of Σ 1 / count over its four counts, HALF added to each."""
    without, without_label = texts - having, texts_label - having_label
    counts = (having_label, having - having_label, without_label, without - without_label)
    return np.sqrt(sum(1 / (count + HALF) for count in counts))


def pull(found: Occurrences, count: int, wrong: np.ndarray, right: np.ndarray) -> Pull:
    """What n-grams do for the predicted label.

    Args:
      found: their shares for the label that each text was predicted as (`for_predicted`).
      count: K.
      wrong: [N] texts whose prediction is not their label.
      right: [N] texts whose prediction is.
    """
    false, true = summary(found, count, wrong), summary(found, count, right)
    difference = false.mean - np.where(true.texts > 0, true.mean, 0)
    half = np.sqrt(false.half**2 + np.where(true.texts > 0, true.half, 0) ** 2)
    return Pull(false, true, difference, half)


def for_predicted(collection: Collection, each: Sequence[Occurrences], series: Sequence[Series]) -> Occurrences:
    """The occurrences of several series of one method, of each text only those for its predicted label."""
    predicted = [text.prediction for text in collection.texts]
    parts = []
    for found, one in zip(each, series, strict=True):
        chosen = np.array([label == one.target for label in predicted], bool)[found.text]
        parts.append(Occurrences(*(field[chosen] for field in found)))
    return Occurrences(*(np.concatenate(fields) for fields in zip(*parts, strict=True)))


def right_and_wrong(collection: Collection) -> tuple[np.ndarray, np.ndarray]:
    """Which texts were predicted rightly, and which wrongly [N]; a text without label is neither."""
    pairs = [(text.label, text.prediction) for text in collection.texts]
    right = np.array([label is not None and label == prediction for label, prediction in pairs], bool)
    wrong = np.array([label is not None and label != prediction for label, prediction in pairs], bool)
    return right, wrong
