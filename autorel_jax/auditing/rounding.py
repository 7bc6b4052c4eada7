"""Rounding: two arrays of numbers that should be equal -> how far apart they are, and whether that can be rounding.

The bounds are here alone. Used by differences.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# The largest distance that two runs of one model may have.
BOUNDS = {
    "float32": {"logits": 1e-4, "scores": 1e-3, "ledger": 1e-4},
    "bfloat16": {"logits": 0.05, "scores": 0.1, "ledger": 0.05},
    "float64": {"logits": 1e-10, "scores": 1e-9, "ledger": 1e-10},
}
UNITS = {  # what a distance is a part of
    "logits": "the text's largest |logit|, or of 1 where that is more",
    "scores": "the text's largest |score|",
    "ledger": "the text's largest item",
}

Numbers = Sequence[float | None]


def distance(kind: str, old: Numbers, new: Numbers) -> float:
    """The largest difference of two series of one kind of UNITS, as a part of its unit.

    Infinite where they have different lengths, or a number is finite (None: it is not) in one alone.
    """
    if len(old) != len(new) or any((a is None) != (b is None) for a, b in zip(old, new, strict=True)):
        return math.inf
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a is not None and b is not None]
    apart = max((abs(a - b) for a, b in pairs), default=0.0)
    unit = max([abs(a) for a, _ in pairs] + [1.0] * (kind == "logits"), default=0.0)
    return apart / unit if unit else 0.0 if not apart else math.inf
