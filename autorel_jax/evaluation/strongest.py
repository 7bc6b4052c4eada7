"""Strongest: results over many texts -> the few words that speak most for each target.

They are those at the top of a report's table of words. Used by cli/ending.py and report/plot.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autorel_jax.evaluation import words
from autorel_jax.evaluation.collection import NEEDED, Collection
from autorel_jax.report.explanation import IN_FILES
from autorel_jax.report.fields import to_record

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

SAMPLE = 5000  # results that are looked at, which takes a second or two
EACH = 3  # words of a target
FEW_FIELDS = tuple(field for field in IN_FILES if field.path[0] in (*NEEDED, "model", "method"))


def record_of(explanation: Explanation) -> dict[str, Any]:
    """The fields of a line of .jsonl that a Collection needs."""
    return to_record(FEW_FIELDS, explanation)


def sample(records: Iterable[Mapping[str, Any]], most: int | None = SAMPLE) -> Collection:
    """The first records, at most `most`, as a Collection."""
    collection = Collection()
    for record in itertools.islice(records, most):
        collection.add(record)
    return collection


class WordTable(NamedTuple):
    """What the words of all texts do for one target by one method; K words."""

    method: str
    target: str
    results: int  # texts that were explained for it
    least: int  # texts that a word must be in to be listed
    names: list[str]  # [K]
    summary: words.Summary


def tables(collection: Collection) -> Iterator[WordTable]:
    """The words of each target by each method, those of the most texts first."""
    keys = words.keys(collection)
    different, begins = words.ngrams(collection, keys, 1)
    names = [keys.names[place] for (place,) in different]
    for series in sorted(collection.series.values(), key=lambda series: -len(series.rows)):
        summary = words.summary(words.occurrences(collection, series, begins, 1), len(names))
        method = named(collection.methods, series.method)
        yield WordTable(method, series.target, len(series.rows), words.least(len(collection)), names, summary)


def named(methods: Sequence[tuple[str, Mapping[str, Any]]], place: int) -> str:
    """The name of a method, with the parameters that tell it from others of that name."""
    name, parameters = methods[place]
    others = [other for number, (same, other) in enumerate(methods) if same == name and number != place]
    apart = {key: value for key, value in parameters.items() if any(other.get(key) != value for other in others)}
    return ", ".join([name, *(f"{key}={value}" for key, value in apart.items())])


def strongest(collection: Collection) -> dict[str, list[str]]:
    """The words that speak most for each target, at most EACH.

    They are ordered by the lower end of the interval of their mean share, which is above 0; without a known interval
    by the mean alone. Of many texts, a word of few is left out.
    """
    found = {}
    for table in tables(collection):
        mean, half = (np.nan_to_num(each, nan=-np.inf) for each in (table.summary.mean, -table.summary.half))
        mean = np.where(table.summary.texts >= table.least, mean, -np.inf)
        order = np.lexsort((-mean, -(mean + half)))[:EACH]
        if chosen := [table.names[place] for place in order if mean[place] > 0]:
            found[table.target] = chosen
    return found
