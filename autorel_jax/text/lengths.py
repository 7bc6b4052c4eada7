"""Lengths: the tokens of many rows -> the few lengths that they are padded to, each of which costs a program.

Used by explaining/ and training/.
"""

import math
from collections.abc import Sequence

import numpy as np


def cheapest(lengths: np.ndarray, accepted: Sequence[int] | np.ndarray, count: int, program: float = 0.0) -> list[int]:
    """The lengths, at most `count` of those `accepted`, that cost least when each row is padded to the next of them.

    Exact, by dynamic programming over the histogram of `lengths` [N]. The cost is in tokens: those that are computed,
    and `program` for each length.

    Args:
      lengths: of the rows, one at least.
      accepted: rising; the last holds every row.
      count: at least 1.
      program: the tokens that could be computed while a program is made.
    """
    sizes, rows = np.unique(np.searchsorted(accepted, lengths), return_counts=True)
    sizes = np.asarray(accepted)[sizes]
    rows = np.concatenate([[0], np.cumsum(rows)])
    best = np.where(np.arange(len(sizes) + 1) == 0, 0.0, math.inf)  # cost of the first j sizes with no length yet
    choices, totals = [], []
    for used in range(1, min(count, len(sizes)) + 1):
        cost = best[:-1, None] + np.where(
            np.arange(len(sizes))[:, None] <= np.arange(len(sizes)), (rows[1:] - rows[:-1, None]) * sizes, math.inf
        )
        choices.append(cost.argmin(axis=0))
        best = np.concatenate([[math.inf], cost.min(axis=0)])
        totals.append(best[-1] + used * program)
    chosen, end = [], len(sizes)
    for choice in reversed(choices[: int(np.argmin(totals)) + 1]):
        chosen.append(int(sizes[end - 1]))
        end = int(choice[end - 1])
    return chosen[::-1]


def fit(longest: int, lengths: Sequence[int]) -> int:
    """The first of the lengths that holds so many tokens."""
    return next(length for length in lengths if length >= longest)
