"""Ranks: two series of numbers -> the correlation of their ranks. Used by across.py and faithfulness/."""

import math

import numpy as np


def ranked(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values have the mean of theirs [N]."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """The correlation of the ranks; None where one of both does not vary."""
    a, b = (ranked(values) - (len(values) - 1) / 2 for values in (first, second))
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size else None
