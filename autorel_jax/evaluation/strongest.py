"""Strongest: results over many texts -> the few words that speak most for each target, for the end of a run.

They are those at the top of a report's table of words. Used by cli/ending.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autorel_jax.evaluation import words
from autorel_jax.evaluation.collection import NEEDED, Collection
from autorel_jax.report.explanation import IN_FILES
from autorel_jax.report.fields import to_record

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

SAMPLE = 5000  # results that are looked at, which takes a second
EACH = 3  # words of a target
FEW_FIELDS = tuple(field for field in IN_FILES if field.path[0] in (*NEEDED, "model", "method"))


def record_of(explanation: Explanation) -> dict[str, Any]:
    """The fields of a line of .jsonl that a Collection needs."""
    return to_record(FEW_FIELDS, explanation)


def sample(records: Iterable[Mapping[str, Any]]) -> Collection:
    """The first SAMPLE records as a Collection."""
    collection = Collection()
    for record in itertools.islice(records, SAMPLE):
        collection.add(record)
    return collection


def strongest(collection: Collection) -> dict[str, list[str]]:
    """The words that speak most for each target, at most EACH; the targets of the most texts come first.

    Words are ordered by the lower end of the interval of their mean share (`words.summary`), which is above 0.

    Args:
      collection: results of one method.
    """
    keys = words.keys(collection)
    different, begins = words.ngrams(collection, keys, 1)
    names = [keys.names[place] for (place,) in different]
    found = {}
    for series in sorted(collection.series.values(), key=lambda series: -len(series.rows)):
        summary = words.summary(words.occurrences(collection, series, begins, 1), len(names))
        mean, half = (np.nan_to_num(each, nan=-np.inf) for each in (summary.mean, -summary.half))
        order = np.lexsort((-mean, -(mean + half)))[:EACH]  # without a known interval by the mean alone
        if chosen := [names[place] for place in order if mean[place] > 0]:
            found[series.target] = chosen
    return found
