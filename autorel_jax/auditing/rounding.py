"""Rounding: two arrays of numbers that should be equal -> how far apart they are, and whether that can be rounding.

The bounds are here alone. Used by record_differences.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# The largest distance that two runs of one model may have: ten times or more what benchmarks/rounding.py found, which
# is beside it. Found on a MiniLM of 6 layers and 10 sentences of SST-2, jax 0.10.2, an x86-64 of two cores, over
# attnlrp, gamma and gradient_x_input: batches of 1 against 32, one thread, the instructions of CPUs without FMA and
# without AVX, float64. Deeper models round more, for which there is room. No GPU was at hand.
BOUNDS = {
    "float32": {"logits": 2e-5, "scores": 2e-4, "ledger": 1e-4},  # 1.7e-6, 1.8e-5 (gamma; attnlrp 2.4e-6), 6.0e-6
    "bfloat16": {"logits": 0.04, "scores": 0.2, "ledger": 0.15},  # batches alone: 3.2e-3, 2.1e-2, 1.4e-2
    "float64": {"logits": 1e-13, "scores": 1e-12, "ledger": 1e-12},  # batches alone: 1.2e-15, 8.8e-15, 5.6e-15
}
# Rules that divide by what may be near 0: found 5.8e-4 in float32 and 1.0e-13 in float64. In bfloat16 no bound holds:
# another batch alone moves scores by more than the largest of them.
UNSTEADY = ("bert_lrp", "bert_lrp_jacobian")
OF_UNSTEADY = {"float32": 6e-3, "float64": 1e-11}  # scores
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


def bounds_of(dtype: str, method: str) -> dict[str, float]:
    """The bounds of a dtype and of the method of that name."""
    loose = OF_UNSTEADY.get(dtype) if method in UNSTEADY else None
    return BOUNDS[dtype] | ({} if loose is None else {"scores": loose})
