"""Ranks: the scores of a text's units against what the target loses without each -> rank correlation.

Measurements (asking.py). U units.
"""

from __future__ import annotations

import math

import numpy as np

from autorel_jax.evaluation.ranks import spearman
from autorel_jax.faithfulness.asking import Measurement
from autorel_jax.faithfulness.curves import Scored

MOST_UNITS = 10  # of exact Shapley values, which need 2 ** U parts


def correlation(text: Scored, values: np.ndarray, name: str) -> dict[str, float]:
    """Spearman's of the scores, under a name; nothing where it is not defined."""
    found = spearman(text.scores, values)
    return {} if found is None else {name: found}


def leave_one_out(text: Scored) -> Measurement:
    """Against the logit that the target loses without each unit alone."""
    units = len(text.scores)
    on = np.concatenate([np.ones((1, units), bool), ~np.eye(units, dtype=bool)])
    logit = (yield on).logit
    return correlation(text, logit[0] - logit[1:], "leave_one_out")


def every_part(units: int) -> np.ndarray:
    """All parts [2 ** U, U]: unit i is in part k where bit i of k is 1."""
    return (np.arange(2**units)[:, None] >> np.arange(units)) & 1 == 1


def shapley_values(values: np.ndarray, units: int) -> np.ndarray:
    """Exact Shapley values [U] from the value of every part [2 ** U]."""
    on = every_part(units)
    sizes = on.sum(axis=1)
    weights = np.array([1 / (units * math.comb(units - 1, size)) for size in range(units)])
    found = np.empty(units)
    for unit in range(units):
        off = np.flatnonzero(~on[:, unit])
        found[unit] = weights[sizes[off]] @ (values[off | (1 << unit)] - values[off])
    return found


def shapley(text: Scored) -> Measurement:
    """Against exact Shapley values of the target's logit; nothing for texts of more than MOST_UNITS units."""
    units = len(text.scores)
    if units > MOST_UNITS:
        return {}
    logit = (yield every_part(units)).logit
    return correlation(text, shapley_values(logit, units), "shapley")
