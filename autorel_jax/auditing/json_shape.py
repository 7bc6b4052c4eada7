"""JSON shapes: a value of JSON and what it should look like -> the first place where it does not.

Used by record_file.py and diff_results.py.

A shape is a type, None, `NUMBER`, [shape] for a list, a dict of shapes for an object that has these parts at least,
`Each(shape)` for an object of any names, or a tuple of shapes of which one must fit.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

MISSING = ...  # of no shape
NUMBER = "number"  # finite, and not so large that arithmetic fails


class Each(NamedTuple):
    """An object whose values all have one shape."""

    shape: Any


def misfit(value: Any, shape: Any, where: str = "") -> str | None:
    """The first place at which a value does not have a shape, such as `texts[2].sha256`; None if it has it."""
    if isinstance(shape, Each):
        shape = dict.fromkeys(value, shape.shape) if isinstance(value, dict) else {}
    elif isinstance(shape, tuple):
        found = [misfit(value, one, where) for one in shape]
        return None if None in found else max(found, key=len)  # the one that came furthest
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return where
        parts = ((value.get(name, MISSING), one, f"{where}.{name}".lstrip(".")) for name, one in shape.items())
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return where
        parts = ((one, shape[0], f"{where}[{place}]") for place, one in enumerate(value))
    else:
        return None if fits(value, shape) else where
    return next((fault for part in parts if (fault := misfit(*part)) is not None), None)


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has a shape without parts; true and false are no numbers."""
    if value is MISSING:
        return False
    if shape is None:
        return value is None
    if isinstance(value, bool) and shape is not bool:
        return shape is object
    if shape == NUMBER:
        return isinstance(value, int | float) and abs(value) <= 1e300 and math.isfinite(value)
    return isinstance(value, shape)
