"""Across: results of two tasks or models -> how alike words do in both: the rank correlation of their mean relevance.

Texts need not be the same. The original BERT_LRP compared data sets so. Public as `ar.compare_words`. K words that both
have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autorel_jax.errors import InputError, check_count
from autorel_jax.evaluation import words
from autorel_jax.evaluation.collection import Collection
from autorel_jax.evaluation.ranks import spearman


class Across(NamedTuple):
    """The words that two results have in common, the highest mean of both first."""

    words: list[str]  # [K]
    first: np.ndarray  # [K] mean share of a text's Σ|relevance|, as in words.py
    second: np.ndarray  # [K]
    correlation: float | None  # Spearman's, of both; None where it is not defined


def compare_words(
    first: Iterable[Mapping[str, Any]],
    second: Iterable[Mapping[str, Any]],
    *,
    targets: Sequence[str | None] = (None, None),
    least: int = 5,
) -> Across:
    """What words do in two results, which may be of other texts, tasks and models.

    Args:
      first: records, as `ar.read_results` gives them.
      second: likewise.
      targets: of each, the target whose relevance is meant, where there are several.
      least: texts of each that a word must be in.

    Raises:
      InputError: several methods or targets of which none was named, or no word is in both.
    """
    check_count("least", least)
    if isinstance(targets, str) or len(targets) != 2:
        raise InputError(f"targets={targets!r}: expected two, one of each results.")
    one, other = (means(records, target, least) for records, target in zip((first, second), targets, strict=True))
    common = sorted(one.keys() & other.keys(), key=lambda word: -(one[word] + other[word]))
    if not common:
        raise InputError(f"No word is in {least} texts of both results; give more texts, or a smaller least.")
    both = [np.array([found[word] for word in common]) for found in (one, other)]
    return Across(common, *both, spearman(*both))


def means(records: Iterable[Mapping[str, Any]], target: str | None, least: int) -> dict[str, float]:
    """The mean share of each word that is in so many texts at least."""
    collection = Collection()
    for record in records:
        collection.add(record)
    series = [one for one in collection.series.values() if target in (None, one.target)]
    if len(series) != 1:
        there = ", ".join(f"{collection.methods[one.method][0]} for {one.target}" for one in collection.series.values())
        raise InputError(f"The results hold {there}; name one target in targets, and give the results of one method.")
    names = words.keys(collection)
    runs, begins = words.ngrams(collection, names, 1)
    found = words.summary(words.occurrences(collection, series[0], begins, 1), len(runs))
    return {
        names.names[run[0]]: float(mean)
        for run, mean, texts in zip(runs, found.mean, found.texts, strict=True)
        if texts >= least
    }
