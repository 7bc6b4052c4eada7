"""Intervals: a number for each text -> the mean with a bootstrap interval. Used by results.py. N texts."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

LEVEL = (2.5, 97.5)  # percentiles
BLOCK = 2**22  # weights that are drawn at once


class Mean(NamedTuple):
    """Over texts; `low` and `high` bound the interval of 95 %."""

    n: int
    mean: float
    low: float
    high: float


def mean_of(values: np.ndarray, resamples: int, seed: int) -> Mean:
    """The mean of the values that are there [N] (NaN: not there), and the percentiles of it over resampled texts.

    Texts are drawn with replacement, the same draws for every series of as many texts.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return Mean(0, float("nan"), float("nan"), float("nan"))
    means = counts(len(values), resamples, seed) @ values / len(values)
    low, high = np.percentile(means, LEVEL)
    return Mean(len(values), float(values.mean()), float(low), float(high))


@functools.lru_cache(maxsize=8)
def counts(texts: int, resamples: int, seed: int) -> np.ndarray:
    """How often each text is drawn in each resample [resamples, N]."""
    rng = np.random.default_rng([seed, texts])
    rows = max(1, BLOCK // texts)
    drawn = [
        rng.multinomial(texts, np.full(texts, 1 / texts), size=min(rows, resamples - start)).astype(np.float32)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(drawn)
